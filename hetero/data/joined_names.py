"""Names of very many images, none of which is read before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import overload


class JoinedNames(Sequence[str]):
    """Names of several sets, one set after the other, each of which may lie on disk.

    Args:
        parts: The names of each set.
    """

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, int):
            place = range(len(self))[index]
            return self[place : place + 1][0]
        start, stop, step = index.indices(len(self))
        pairs = zip(self._starts, self._parts, strict=False)
        return [name for first, part in pairs for name in part[max(0, start - first) : max(0, stop - first)]][::step]


class NamesOfCopies(Sequence[str]):
    """Names of one changed copy of each image: ``NAME#1``.

    Args:
        names: Names of the images.
        copy: Number of the copy.
    """

    def __init__(self, names: Sequence[str], copy: int) -> None:
        self._names, self._mark = names, f"#{copy}"

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return (name + self._mark for name in self._names)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        names = self._names[index]
        return names + self._mark if isinstance(names, str) else [name + self._mark for name in names]
