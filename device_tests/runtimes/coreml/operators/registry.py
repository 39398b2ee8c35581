"""Operators by type. What one takes is read off its function's signature.

A parameter without a default is required; one annotated with a plain type (``int``, ``tuple[int, ...]``, ``Literal``)
is handed over as that type, and a text outside of a ``Literal`` is not verified. Keyword-only parameters are not MIL's
but the executor's:

- ``rounded``: rounds an intermediate result as the program's precision says;
- ``expected``: the declared types of the results, checked before anything large is made;
- ``batch``: how many images are stacked along the first axis of the batched arguments;
- ``memo``: keeps what follows from the constant arguments, for the next call.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from device_tests.runtimes.coreml.operators.batching import BatchRule

Array = NDArray[Any]
Rounded = Callable[[Array], Array]
Kind = Literal["tensor", "tensors", "int", "float", "bool", "str", "ints", "bools"]

_KINDS: dict[Any, Kind] = {
    Array: "tensor",
    tuple[Array, ...]: "tensors",
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    tuple[int, ...]: "ints",
    tuple[bool, ...]: "bools",
}


class Unsupported(Exception):  # noqa: N818 - not an error of the program's, but a limit of ours
    """Raised by an operator for a combination of arguments whose meaning is not certain."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operator.

    Attributes:
        kind: How its argument is handed over.
        required: Whether it must be given.
        choices: The texts that are known; empty when any will do.
    """

    kind: Kind
    required: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operator:
    """How to compute one type of operator.

    Attributes:
        run: Takes the parameters by name; gives an array, or a tuple of them.
        parameters: MIL's, by name.
        injected: The executor's.
        batch: Whether a call may see many images at once; None when it must see one.
        exact: Whether it gives nothing but numbers that it was given, and zeros or sixes: all float16 where those are.
    """

    run: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    injected: frozenset[str]
    batch: BatchRule | None
    exact: bool = False


OPERATORS: dict[str, Operator] = {}
"""By MIL's name."""


def operator(
    *names: str, batch: BatchRule | None = None, exact: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function.

    Args:
        names: MIL's; the function's own when none is given.
        batch: See :class:`Operator`.
        exact: See :class:`Operator`.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names or (function.__name__,):
            OPERATORS[name] = _operator(function, batch, exact=exact)
        return function

    return register


def _operator(function: Callable[..., Any], batch: BatchRule | None, *, exact: bool) -> Operator:
    hints = typing.get_type_hints(function)
    parameters: dict[str, Parameter] = {}
    injected: set[str] = set()
    for name, declared in inspect.signature(function).parameters.items():
        if declared.kind is inspect.Parameter.KEYWORD_ONLY:
            injected.add(name)
        else:
            parameters[name] = _parameter(hints[name], required=declared.default is inspect.Parameter.empty)
    return Operator(function, parameters, frozenset(injected), batch, exact)


def _parameter(hint: Any, *, required: bool) -> Parameter:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is Literal:
        return Parameter("str", required, typing.get_args(hint))
    return Parameter(_KINDS[hint], required)
