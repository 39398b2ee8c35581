"""Check data from files against frozen dataclasses, reporting every problem at once.

Each field declares its own limits: its type, and the constraints of :mod:`hetero.constraints`.
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
from hetero.recognition.kinds import TOML
from hetero.recognition.recognise import refuse_others

T = TypeVar("T")

_CONFIG: Any = {"extra": "forbid", "allow_inf_nan": False}
LARGEST_TOML = 4 << 20
"""Maximum size, in bytes, of a file that a person wrote."""

# Removing a mistake may cause another: a list that is empty now.
_ATTEMPTS = 5
# Pydantic checks the fields of its own results; checking them again would build a second checker for every class.
_checked_by_pydantic: ContextVar[bool] = ContextVar("checked_by_pydantic", default=False)


class InvalidValueError(InputError, ValueError):
    """Values that do not belong in a record; a ``ValueError``, so that pydantic collects it with everything else."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a frozen dataclass that refuses unknown keys and numbers that are not finite when :func:`parse` fills it."""
    frozen = dataclass(frozen=True)(cls)
    frozen.__pydantic_config__ = _CONFIG  # pyright: ignore[reportAttributeAccessIssue]
    return frozen


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def settings(cls: type[T]) -> type[T]:
    """Make a :func:`record` that people write: its constraints hold whether it is made from a file or in Python.

    Its method ``rules`` returns the problems between fields, one line each.
    """
    cls.__post_init__ = require_valid  # pyright: ignore[reportAttributeAccessIssue]
    return record(cls)


def require_valid(value: Any) -> None:
    """Check a dataclass's fields against their types and constraints, and convert each to its declared type.

    Raises:
        InputError: With one line for each mistake.
    """
    problems = [] if _checked_by_pydantic.get() else _field_problems(value)
    if not problems and hasattr(value, "rules"):
        problems = value.rules()
    if problems:
        raise InvalidValueError(f"{type(value).__name__} is not valid:", problems)


def _field_problems(value: Any) -> list[str]:
    """Return the problems of each field by itself; if there are none, convert fields to their declared types."""
    from pydantic import ValidationError

    values = {item.name: getattr(value, item.name) for item in fields(value)}
    try:
        checked = _fields_checker(type(value)).validate_python(values)
    except ValidationError as caught:
        return [str(mistake) for mistake in mistakes_of(caught)]
    for name, item in checked.items():
        object.__setattr__(value, name, item)
    return []


def parse(kind: type[T], value: object, *, what: str, error: type[InputError] = InputError) -> T:
    """Turn parsed JSON or TOML into ``kind``, a (nested) dataclass.

    Args:
        kind: A dataclass made with :func:`record`, possibly nested.
        value: Content of the file.
        what: Name of the file in the error message.
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
    """Parse as :func:`parse` does, but remove mistakes and return the rest, so that it can be checked too.

    Args:
        kind: A dataclass made with :func:`record`, possibly nested.
        value: Content of the file.
        instead: Stand-ins for required keys of the top level that are missing or wrong.

    Returns:
        The rest (None when it makes no sense), and every wrong, missing or unknown key of the file.
    """
    from pydantic import ValidationError

    rest, mistakes = copy.deepcopy(value), list[Mistake]()
    for _ in range(_ATTEMPTS):
        try:
            return _validated(kind, rest), mistakes
        except ValidationError as caught:
            current = mistakes_of(caught)
        # Most mistakes of later attempts only follow from what was removed.
        mistakes += [mistake for mistake in current if not mistakes or mistake.between]
        rest = without(rest, [mistake.place for mistake in current])
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
    """Read a TOML file that a person wrote.

    Args:
        path: The file.
        expected: Kind of the file, for instance ``a recipe``.

    Raises:
        InputError: When there is no file, or it is not TOML, too large or nested too deeply.
    """
    refuse_others(path, TOML, what=f"{expected} (a TOML file)")
    if not path.is_file():
        raise InputError(f"expected {expected} (a TOML file) at {path}, found no file")
    try:
        if (size := path.stat().st_size) > LARGEST_TOML:
            raise ValueError(f"it takes {size} bytes, more than the limit of {LARGEST_TOML}")
        value = tomllib.loads(path.read_text(encoding="utf-8"))
        require_bounded(value)
        return value
    except (ValueError, RecursionError) as error:  # includes those of tomllib and of UTF-8
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
    """Return the value with overrides: tables are merged, everything else is replaced."""
    merged = dict(value)
    for key, item in instead.items():
        own = value.get(key)
        merged[key] = {**own, **item} if isinstance(own, dict) and isinstance(item, dict) else item
    return merged
