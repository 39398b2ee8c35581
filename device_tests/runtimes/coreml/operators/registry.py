"""Operators by type. Their parameters are read from their functions' signatures.

A parameter without a default is required; one annotated with a plain type (``int``, ``tuple[int, ...]``, ``Literal``)
is passed as that type, and a text outside of a ``Literal`` is not verified. Keyword-only parameters are not MIL's
but the executor's:

- ``rounded``: rounds an intermediate result to the program's precision;
- ``expected``: the declared types of the results, checked before anything large is allocated;
- ``batch``: the number of images stacked along the first axis of the batched arguments;
- ``memo``: stores values derived from the constant arguments, for the next call.
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
    """An operator's error for a combination of arguments whose meaning is uncertain."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operator.

    Attributes:
        kind: Type as which its argument is passed.
        required: True if it must be given.
        choices: The known texts; empty if any is accepted.
    """

    kind: Kind
    required: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """The computation of one type of operator.

    Attributes:
        run: Takes the parameters by name; returns an array, or a tuple of them.
        parameters: MIL's parameters, by name.
        injected: The executor's parameters.
        batch: The rule that permits calls on stacked images; None if images must be passed one by one.
        exact: True if all results are numbers of its arguments, zeros or sixes: float16 values if those are.
    """

    run: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    injected: frozenset[str]
    batch: BatchRule | None
    exact: bool = False


OPERATORS: dict[str, Kernel] = {}
"""Operators by MIL's name."""


def operator(
    *names: str, batch: BatchRule | None = None, exact: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function.

    Args:
        names: MIL's names; the function's own if none is given.
        batch: See :class:`Kernel`.
        exact: See :class:`Kernel`.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names or (function.__name__,):
            OPERATORS[name] = _operator(function, batch, exact=exact)
        return function

    return register


def _operator(function: Callable[..., Any], batch: BatchRule | None, *, exact: bool) -> Kernel:
    hints = typing.get_type_hints(function)
    parameters: dict[str, Parameter] = {}
    injected: set[str] = set()
    for name, declared in inspect.signature(function).parameters.items():
        if declared.kind is inspect.Parameter.KEYWORD_ONLY:
            injected.add(name)
        else:
            parameters[name] = _parameter(hints[name], required=declared.default is inspect.Parameter.empty)
    return Kernel(function, parameters, frozenset(injected), batch, exact)


def _parameter(hint: Any, *, required: bool) -> Parameter:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is Literal:
        return Parameter("str", required, typing.get_args(hint))
    return Parameter(_KINDS[hint], required)
