"""Options of code from outside this project, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hetero.options import Option, require_defaults, undeclared


def options_of(name: str, call: Callable[..., Any], *, given: Iterable[str] = ()) -> Mapping[str, Option]:
    """Return the options that a recipe may set: parameters whose default is a number, a truth value or a text.

    A class that passes on further arguments (``**kwargs``) has its parents' parameters, too.

    Args:
        name: Name of the objective in messages.
        call: A function or class.
        given: Parameters that are filled in by the caller.

    Raises:
        InputError: When one of its own parameters without a default remains.
    """
    parameters = _parameters(call)
    for key in given:
        parameters.pop(key, None)
    own = inspect.signature(call).parameters
    require_defaults(f"the objective {name}", {key: item for key, item in parameters.items() if key in own})
    return {
        key: undeclared(item.default)
        for key, item in parameters.items()
        if isinstance(item.default, bool | int | float | str)
    }


def _parameters(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters: dict[str, inspect.Parameter] = {}
    for source in [call, *(call.__mro__[1:] if isinstance(call, type) else ())]:
        try:
            signature = inspect.signature(source)
        except ValueError:
            break
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        parameters |= {
            key: item for key, item in signature.parameters.items() if item.kind in named and key not in parameters
        }
        if all(item.kind is not inspect.Parameter.VAR_KEYWORD for item in signature.parameters.values()):
            break
    return parameters
