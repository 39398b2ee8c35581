"""Options of objects that are chosen by name, declared by the signature of their maker. Needs no torch.

A parameter is an option: it has a default, and in its annotation a type, limits (:mod:`hetero.constraints`) and one
line of meaning, as in ``Annotated[Positive, Doc("divides the cosines")]``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt
from typing_extensions import Doc

from hetero.errors import InputError

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One option; recipes write it beside the name.

    Attributes:
        kind: Its annotation: a type, perhaps with constraints and a meaning.
        default: Value of an option that is left out.
    """

    kind: Any
    default: OptionValue

    @property
    def meaning(self) -> str:
        """The meaning in one line for people; empty where none is declared."""
        return next((item.documentation for item in _metadata(self.kind) if isinstance(item, Doc)), "")

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed values of a text, the default first; empty where it may be any."""
        return tuple(sorted(get_args(self._plain), key=lambda one: one != self.default)) if self._is_choice else ()

    @property
    def expects(self) -> str:
        """The allowed values in words."""
        if self._is_choice:
            return f"one of {', '.join(self.choices)}"
        kind = {bool: "true or false", int: "a whole number", str: "a text"}.get(self._plain, "a number")
        bounds = [_in_words(limit) for limit in _limits(self.kind)]
        return " ".join([kind, " and ".join(bound for bound in bounds if bound)]).strip()

    def allows(self, value: object) -> bool:
        """Return True if a recipe may give this value."""
        from pydantic import ValidationError

        try:
            _checker(self.kind).validate_python(value)
        except ValidationError:
            return False
        return True

    def converted(self, value: OptionValue) -> OptionValue:
        """Return the value in the option's own type: a whole number is a number, too."""
        return _checker(self.kind).validate_python(value)

    @property
    def _plain(self) -> Any:
        return get_args(self.kind)[0] if get_origin(self.kind) is Annotated else self.kind

    @property
    def _is_choice(self) -> bool:
        return get_origin(self._plain) is Literal


def declared_options(call: Callable[..., Any], *, given: Iterable[str] = ()) -> dict[str, Option]:
    """Return the options that a function or class declares, by name.

    Args:
        call: Function or class whose parameters have annotations and defaults.
        given: Parameters that the caller fills in.

    Raises:
        InputError: When another parameter has no default.
    """
    hints = get_type_hints(call.__init__ if isinstance(call, type) else call, include_extras=True)
    parameters = {
        name: item
        for name, item in inspect.signature(call).parameters.items()
        if name not in given and item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
    }
    require_defaults(call.__qualname__, parameters)
    return {name: Option(hints[name], item.default) for name, item in parameters.items()}


def require_defaults(what: str, parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse parameters without a default, which a recipe cannot give.

    Args:
        what: Name at the start of the message.
        parameters: Parameters that are to be options.

    Raises:
        InputError: When a parameter has no default.
    """
    if required := [key for key, item in parameters.items() if item.default is item.empty]:
        raise InputError(f"{what} needs {', '.join(required)}, which a recipe cannot give")


def undeclared(default: OptionValue) -> Option:
    """Return the option of code whose types are not known: a number as default allows any number."""
    return Option(int | float if type(default) is int else type(default), default)


def option_problems(name: str, options: Mapping[str, Option], given: Mapping[str, OptionValue]) -> list[str]:
    """Return the problems of the values for the options of ``name``, one line each."""
    problems: list[str] = []
    for key, value in given.items():
        option = options.get(key)
        if option is None:
            remedy = f"expected {', '.join(options)}" if options else "it has none"
            problems.append(f"{name}.{key}: unknown option; {remedy}")
        elif not option.allows(value):
            problems.append(f"{name}.{key}: expected {option.expects}, got {value!r}")
    return problems


def _metadata(kind: Any) -> tuple[Any, ...]:
    return kind.__metadata__ if get_origin(kind) is Annotated else ()


def _limits(kind: Any) -> Iterator[Any]:
    for item in _metadata(kind):
        yield from item if isinstance(item, GroupedMetadata) else (item,)


def _in_words(limit: Any) -> str:
    match limit:
        case Gt(gt):
            return f"above {gt:g}"
        case Ge(ge):
            return f"of at least {ge:g}"
        case Le(le):
            return f"at most {le:g}"
        case Lt(lt):
            return f"below {lt:g}"
        case _:
            return ""


@functools.cache
def _checker(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))
