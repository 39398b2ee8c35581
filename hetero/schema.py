"""Check data from files against frozen dataclasses, reporting every problem at once.

What a field may hold is declared on it: its type, and the constraints of :mod:`hetero.constraints`.
"""

from __future__ import annotations

import copy
import functools
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform, get_type_hints

from hetero.errors import InputError, IntegrityError
from hetero.files import read_json
from hetero.foreign import require_bounded
from hetero.mistakes import Mistake, mistakes_of, without

T = TypeVar("T")

_CONFIG: Any = {"extra": "forbid", "allow_inf_nan": False}
LARGEST_TOML = 4 << 20
"""Bytes of a file that a person wrote."""

# Taking out what is wrong may leave something else wrong: a list that is empty now.
_ATTEMPTS = 5
# Pydantic checks the fields of what it makes; to check them once more would build a second checker for every class.
_checked_by_pydantic: ContextVar[bool] = ContextVar("checked_by_pydantic", default=False)


class InvalidValueError(InputError, ValueError):
    """Values that do not belong in a record; a ``ValueError``, so that pydantic collects it with everything else."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass that refuses unknown keys, and numbers that are not finite, when :func:`parse` fills it."""
    frozen = dataclass(frozen=True)(cls)
    frozen.__pydantic_config__ = _CONFIG  # pyright: ignore[reportAttributeAccessIssue]
    return frozen


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def settings(cls: type[T]) -> type[T]:
    """A :func:`record` that people write: its constraints hold however it is made, by a file or in Python.

    What must hold between fields, its method ``rules`` says: one line for each thing that does not.
    """
    cls.__post_init__ = require_valid  # pyright: ignore[reportAttributeAccessIssue]
    return record(cls)


def require_valid(value: Any) -> None:
    """Check a dataclass's fields against their types and constraints; each takes its declared type.

    Raises:
        InputError: With one line for everything that is wrong.
    """
    problems = [] if _checked_by_pydantic.get() else _field_problems(value)
    if not problems and hasattr(value, "rules"):
        problems = value.rules()
    if problems:
        raise InvalidValueError(f"{type(value).__name__} is not valid:", problems)


def _field_problems(value: Any) -> list[str]:
    """What is wrong with each field by itself; where nothing is, fields take their declared types."""
    from pydantic import ValidationError

    given = {one.name: getattr(value, one.name) for one in fields(value)}
    try:
        checked = _fields_checker(type(value)).validate_python(given)
    except ValidationError as caught:
        return [str(mistake) for mistake in mistakes_of(caught)]
    for name, item in checked.items():
        object.__setattr__(value, name, item)
    return []


def parse(kind: type[T], value: object, *, what: str, error: type[InputError] = InputError) -> T:
    """Turn parsed JSON or TOML into ``kind``, a (nested) dataclass.

    Args:
        kind: A dataclass made with :func:`record`, possibly nested.
        value: What the file held.
        what: Names the file in the error message.
        error: The exception to raise.

    Raises:
        InputError: With one line for every wrong, missing or unknown key.
    """
    from pydantic import ValidationError

    try:
        return _validated(kind, value)
    except ValidationError as caught:
        raise error(f"{what} is not valid:", [str(mistake) for mistake in mistakes_of(caught)]) from None


def parse_rest(kind: type[T], value: object, *, instead: Mapping[str, object]) -> tuple[T | None, list[Mistake]]:
    """As :func:`parse`, but goes on with what is left when mistakes are taken out, so that it can be checked too.

    Args:
        kind: A dataclass made with :func:`record`, possibly nested.
        value: What the file held.
        instead: Stands in for keys of the top level that must be there and are not, or are wrong.

    Returns:
        What is left (None when nothing can be made of it), and every wrong, missing or unknown key of the file.
    """
    from pydantic import ValidationError

    rest, mistakes = copy.deepcopy(value), list[Mistake]()
    for _ in range(_ATTEMPTS):
        try:
            return _validated(kind, rest), mistakes
        except ValidationError as caught:
            found = mistakes_of(caught)
        # Most of what is wrong later only follows from what was taken out.
        mistakes += [one for one in found if not mistakes or one.between]
        rest = without(rest, [mistake.place for mistake in found])
        rest = {**instead, **rest} if isinstance(rest, dict) else rest
    return None, mistakes


def parse_file(kind: type[T], path: Path) -> T:
    """Turn a JSON file into ``kind``.

    Raises:
        IntegrityError: When it is not JSON, or with one line for every wrong, missing or unknown key.
    """
    try:
        value = read_json(path)
    except ValueError as error:
        raise IntegrityError(f"{path} is not JSON: {error}") from None
    return parse(kind, value, what=str(path), error=IntegrityError)


def read_toml(path: Path, expected: str) -> dict[str, Any]:
    """The content of a TOML file that a person wrote.

    Args:
        path: The file.
        expected: What it should be, for instance ``a recipe``.

    Raises:
        InputError: When there is no file, or it is not TOML, too large or nested too deep.
    """
    if not path.is_file():
        raise InputError(f"expected {expected} (a TOML file) at {path}, found no file")
    try:
        if (size := path.stat().st_size) > LARGEST_TOML:
            raise ValueError(f"it takes {size} bytes, more than the limit of {LARGEST_TOML}")
        value = tomllib.loads(path.read_text(encoding="utf-8"))
        require_bounded(value)
        return value
    except (ValueError, RecursionError) as error:  # those of tomllib and of UTF-8 are among them
        raise InputError(f"{path} is not a TOML file: {error}") from None


def _validated(kind: type[T], value: object) -> T:
    token = _checked_by_pydantic.set(True)
    try:
        return _checker(kind).validate_python(value)
    finally:
        _checked_by_pydantic.reset(token)


@functools.cache
def _checker(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    # Building it takes longer than most checks.
    return TypeAdapter(kind)


@functools.cache
def _fields_checker(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter, with_config
    from typing_extensions import TypedDict

    typed: Any = TypedDict
    table: Any = typed(kind.__name__, get_type_hints(kind, include_extras=True))
    return TypeAdapter(with_config(_CONFIG)(table))


def overridden(value: dict[str, Any], instead: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced."""
    merged = dict(value)
    for key, item in instead.items():
        own = value.get(key)
        merged[key] = {**own, **item} if isinstance(own, dict) and isinstance(item, dict) else item
    return merged
