"""Options of code that is not ours, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hetero.options import Option, require_defaults, undeclared


def options_of(name: str, call: Callable[..., Any], *, given: Iterable[str] = ()) -> Mapping[str, Option]:
    """What a recipe may set: the parameters whose default is a number, a truth value or a text.

    A class that passes further arguments on (``**kwargs``) has its parents' parameters, too.

    Args:
        name: Of the objective, for messages.
        call: A function or class.
        given: Parameters that are filled in by the caller.

    Raises:
        InputError: When a parameter of its own without a default is left over.
    """
    parameters = _parameters(call)
    for key in given:
        parameters.pop(key, None)
    own = inspect.signature(call).parameters
    require_defaults(f"the objective {name}", {key: one for key, one in parameters.items() if key in own})
    return {
        key: undeclared(one.default)
        for key, one in parameters.items()
        if isinstance(one.default, bool | int | float | str)
    }


def _parameters(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for one in [call, *(call.__mro__[1:] if isinstance(call, type) else ())]:
        try:
            signature = inspect.signature(one)
        except ValueError:
            break
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        found |= {key: item for key, item in signature.parameters.items() if item.kind in named and key not in found}
        if all(item.kind is not inspect.Parameter.VAR_KEYWORD for item in signature.parameters.values()):
            break
    return found
