"""Check data from files against frozen dataclasses, reporting every problem at once."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

from hetero.errors import InputError, IntegrityError
from hetero.files import read_json

T = TypeVar("T")
# Files of unknown origin are quoted in messages, but not at any length.
_SHOWN = 200


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass that refuses unknown keys when :func:`parse` fills it."""
    frozen = dataclass(frozen=True)(cls)
    frozen.__pydantic_config__ = {"extra": "forbid"}  # pyright: ignore[reportAttributeAccessIssue]
    return frozen


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
        return _checker(kind).validate_python(value)
    except ValidationError as caught:
        raise error(f"{what} is not valid:", [_describe(item) for item in caught.errors()]) from None


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
        InputError: When there is no file, or it is not TOML.
    """
    if not path.is_file():
        raise InputError(f"expected {expected} (a TOML file) at {path}, found no file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from None


@functools.cache
def _checker(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    # Building it takes longer than most checks.
    return TypeAdapter(kind)


def _describe(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])[:_SHOWN] or "(top level)"
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{place}: unknown key"
    if item["type"] == "missing":
        return f"{place}: missing"
    return f"{place}: {item['msg']}; got {repr(item['input'])[:_SHOWN]}"
