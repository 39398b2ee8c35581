"""The operators of a search space as small files, for measuring; kept in the cache, so that each is converted once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from export.kinds.registry import format_called
from hetero.files import cache_directory, digest, write_bytes
from hetero.named import named
from hetero.nas.cost.layers import Layer
from hetero.nas.cost.operators import Operator, distinct_operators

_AT_ONCE = 24


def operator_files(
    layers: Sequence[Layer], format: str, advance: Callable[[int], None], extra: Sequence[Operator] = ()
) -> dict[str, Path]:
    """Return a file for every operator of some layers.

    Args:
        layers: The layers.
        format: Format of the files; one that can make files of operators.
        advance: Called with the number of further files.
        extra: More operators.

    Returns:
        Files in the cache, by the operator's name.
    """
    operators = {operator.name: operator for operator in extra} | distinct_operators(layers)
    files = {name: _place(name, format) for name in operators}
    waiting = [operators[name] for name, file in files.items() if not file.is_file()]
    advance(len(files) - len(waiting))
    for start in range(0, len(waiting), _AT_ONCE):
        some = waiting[start : start + _AT_ONCE]
        for operator, content in zip(some, converted(some, format), strict=True):
            write_bytes(files[operator.name], content)
        advance(len(some))
    return files


def converted(operators: Sequence[Operator], format: str) -> list[bytes]:
    """Convert operators now; return each one's file."""
    return named(format_called(format).operators).files_of(operators)


def _place(name: str, format: str) -> Path:
    suffix = format_called(format).suffix
    return cache_directory() / "operators" / format / f"{digest([_versions(format), name])[:32]}{suffix}"


def _versions(format: str) -> list[str]:
    from importlib.metadata import version

    return [f"{package} {version(package)}" for package in format_called(format).packages]
