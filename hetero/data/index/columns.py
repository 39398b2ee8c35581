"""Columns on disk: ``.npy`` files that grow while they are written and are memory-mapped when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import DTypeLike, NDArray

from hetero.errors import IntegrityError

_CHUNK = 4096


class Column:
    """A ``.npy`` file that rows are appended to; its header states their number once it is closed.

    Args:
        path: The file, which must not exist.
        dtype: Type of the values.
        width: Shape of one row.
    """

    def __init__(self, path: Path, dtype: DTypeLike, width: tuple[int, ...] = ()) -> None:
        self._dtype, self._width, self._rows = np.dtype(dtype).newbyteorder("<"), width, 0
        self._stream = path.open("xb")
        self._write_header()

    def append(self, values: NDArray[Any] | Sequence[Any]) -> None:
        """Append rows."""
        array = np.ascontiguousarray(values, self._dtype).reshape(-1, *self._width)
        self._stream.write(array.data if array.size else b"")
        self._rows += len(array)

    def close(self) -> None:
        """Write the number of rows."""
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def _write_header(self) -> None:
        # NumPy leaves room in a header for the first axis to grow.
        header = np.lib.format.header_data_from_array_1_0(np.empty((0, *self._width), self._dtype))
        np.lib.format.write_array_header_1_0(self._stream, {**header, "shape": (self._rows, *self._width)})


class TextColumn:
    """Texts that are appended: their UTF-8 in ``NAME.npy``, and where each ends in ``NAME_ends.npy``.

    Args:
        directory: Folder of both files.
        name: The column's name.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._text = Column(directory / f"{name}.npy", np.uint8)
        self._ends = Column(directory / f"{name}_ends.npy", np.int64)
        self._end = 0

    def append(self, texts: Iterable[str]) -> None:
        """Append texts."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([self._end, *map(len, encoded)])
        self._text.append(np.frombuffer(b"".join(encoded), np.uint8))
        self._ends.append(ends[1:])
        self._end = int(ends[-1])

    def close(self) -> None:
        """Write the number of texts."""
        self._text.close()
        self._ends.close()


class Texts(Sequence[str]):
    """Texts that are read from their file when they are asked for.

    Args:
        text: uint8 [b], UTF-8 of all texts in a row.
        ends: int64 [n], where each ends.
        rows: int64 [m], the texts that belong here, in order; None for all.
    """

    def __init__(
        self,
        text: UInt8[np.ndarray, " b"],
        ends: Int64[np.ndarray, " n"],
        rows: Int64[np.ndarray, " m"] | None = None,
    ) -> None:
        self._text, self._ends, self._rows = text, ends, rows

    @classmethod
    def in_files(cls, directory: Path, name: str) -> Texts:
        """Open a column that :class:`TextColumn` wrote.

        Raises:
            IntegrityError: When the files do not belong together.
        """
        text, ends = (mapped(directory / file) for file in (f"{name}.npy", f"{name}_ends.npy"))
        whole = text.dtype == np.uint8 and text.ndim == 1 and ends.dtype == np.int64 and ends.ndim == 1
        # Not by differences, which may overflow.
        rising = whole and not (ends[1:] < ends[:-1]).any() and (not len(ends) or int(ends[0]) >= 0)
        if not rising or (int(ends[-1]) if len(ends) else 0) != len(text):
            raise IntegrityError(f"{directory}: {name}.npy and {name}_ends.npy are not the texts of one column")
        return cls(text, ends)

    def select(self, rows: Int64[np.ndarray, " m"]) -> Texts:
        """Return some of the texts, in the order of ``rows``; none is read."""
        return Texts(self._text, self._ends, rows if self._rows is None else self._rows[rows])

    def __len__(self) -> int:
        return len(self._ends if self._rows is None else self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return self.select(np.arange(*index.indices(len(self))))
        place = range(len(self))[index]
        return next(self._read(np.array([place if self._rows is None else self._rows[place]])))

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _CHUNK):
            stop = min(start + _CHUNK, len(self))
            yield from self._read(np.arange(start, stop) if self._rows is None else self._rows[start:stop])

    def _read(self, rows: Int64[np.ndarray, " k"]) -> Iterator[str]:
        ends = self._ends[rows]
        starts = np.where(rows > 0, self._ends[rows - 1], 0)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            data = self._text[start:end].tobytes()
            try:
                yield data.decode()
            except UnicodeDecodeError:
                raise IntegrityError(f"a text of the index is not UTF-8: {data[:200]!r}") from None


def mapped(path: Path) -> NDArray[Any]:
    """Open a column, memory-mapped.

    Raises:
        IntegrityError: When it is no ``.npy`` file, or cut off.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # numpy passes on any error of its tokeniser and dtypes on a damaged header
        raise IntegrityError(f"{path} is not a column of an index: {error}") from None
    if not isinstance(array, np.ndarray):
        raise IntegrityError(f"{path} is not a column of an index: it is an archive")
    # Without the map's class, of which each row that is read would make an object.
    return array.view(np.ndarray)
