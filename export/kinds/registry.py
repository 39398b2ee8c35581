"""The registry of formats.

Those of :mod:`export.formats` are registered as soon as anything of ``export`` is imported. A third-party package
brings its own by an entry point in the group ``hetero.formats`` that names a :class:`~export.kinds.format.Format`, so
that the processes that convert know it, too.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

from export.kinds.format import Format, Kind
from hetero.errors import InputError

GROUP = "hetero.formats"
_WITH_PACKAGES: tuple[Kind, ...] = ("desktop", "macos")

_formats: dict[str, Format] = {}
_unread = [GROUP]


def register(format: Format) -> None:
    """Add a format.

    Raises:
        InputError: If another format has its name, an engine of another format has the name of one of its own, or an
            engine cannot travel to its kind of target.
    """
    if format.name in _formats:
        raise InputError(f"there is a format {format.name!r} already")
    if duplicates := _engines() & {engine.name for engine in format.engines.values()}:
        raise InputError(f"format {format.name}: another format has an engine called {', '.join(sorted(duplicates))}")
    if stuck := [kind for kind, engine in format.engines.items() if engine.place and kind not in _WITH_PACKAGES]:
        raise InputError(
            f"format {format.name}: packages do not travel to a {' or a '.join(stuck)}, nor engines in them"
        )
    _formats[format.name] = format


@contextmanager
def registered(format: Format) -> Generator[Format]:
    """Add a format temporarily.

    Raises:
        InputError: See :func:`register`.
    """
    register(format)
    try:
        yield format
    finally:
        del _formats[format.name]


def formats() -> tuple[Format, ...]:
    """Return every format, in the order in which they were added."""
    _load_plug_ins()
    return tuple(_formats.values())


def names() -> tuple[str, ...]:
    """Return the names of :func:`formats`."""
    return tuple(format.name for format in formats())


def format_called(name: str) -> Format:
    """Return the format of a name that was checked.

    Raises:
        KeyError: If there is none.
    """
    return {format.name: format for format in formats()}[name]


def engines_on(kind: Kind) -> dict[str, str]:
    """Return, by format, the name of the engine that runs it on a kind of target."""
    return {format.name: format.engines[kind].name for format in formats() if kind in format.engines}


def engine_place(name: str) -> str:
    """Return ``module:class`` of an engine; empty for one that the runner brings along."""
    return next((one.place for format in formats() for one in format.engines.values() if one.name == name), "")


def _engines() -> set[str]:
    return {engine.name for format in _formats.values() for engine in format.engines.values()}


def _load_plug_ins() -> None:
    from importlib.metadata import entry_points

    # Cleared first, because a plug-in's imports may ask for the formats.
    while _unread:
        for one in entry_points(group=_unread.pop()):
            register(one.load())


class _Known:
    """A schema that makes pydantic accept only names of formats, with the error message of a ``Literal``."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(_known)


def _known(value: Any) -> str:
    from pydantic_core import PydanticKnownError

    if isinstance(value, str) and value in names():
        return value
    *others, last = map(repr, names())
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


FormatName = Annotated[str, _Known()]
"""A format's name, as a field of records that are read from files."""
