"""Folders of embeddings in shards, for more vectors than fit in memory: mapped when they are read.

Beside the shards (:mod:`hetero.data.embeddings.shard_file`), each named by its rows, lies ``embeddings.json``, which
says what was embedded by what. It is written first: a folder without one of its shards is unfinished, and is continued.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from hetero.data.decoding.parallel import in_parallel
from hetero.data.embeddings.mapped import MappedVectors
from hetero.data.embeddings.name_search import rows_of_names
from hetero.data.embeddings.shard_file import Shard
from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.data.names import composed
from hetero.errors import InputError, IntegrityError
from hetero.files import digest
from hetero.recognition.kinds import SHARDS, SHARDS_RECORD
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file

_SHOWN = 3
_MANY = 500
"""Number of shards whose check takes long enough to show progress."""


class EmbeddingShards:
    """A folder of embeddings, mapped into memory; :class:`hetero.data.embeddings.file.EmbeddingFile` holds a file.

    Args:
        folder: As ``hetero embed`` writes it.

    Attributes:
        folder: The folder.
        space: The space of the vectors.
        states_space: True; a file may have none.

    Raises:
        InputError: When there is no such folder, or it is not finished.
        IntegrityError: When a shard is damaged.
    """

    states_space = True

    def __init__(self, folder: Path) -> None:
        refuse_others(folder, SHARDS)
        self.folder = folder
        self._record = entry = parse_file(ShardsRecord, folder / SHARDS_RECORD)
        self.space = entry.space
        self._require_all()
        self._shards = tuple(in_parallel(self._open, entry.starts))

    def _require_all(self) -> None:
        """Refuse a folder without all of its shards, in the memory of the files that it has."""
        entry, files = self._record, {path.name for path in self.folder.iterdir() if path.is_file()}
        names = map(entry.file, entry.starts)
        if missing := list(islice((name for name in names if name not in files), _SHOWN)):
            count = len(entry.starts) - sum(entry.is_shard(name) for name in files)
            raise InputError(
                f"{self.folder} lacks {count} of {len(entry.starts)} shards ({', '.join(missing)}); run the "
                "`hetero embed` again that wrote it, which continues"
            )

    def _open(self, start: int) -> Shard:
        entry = self._record
        shard = Shard.open(self.folder / entry.file(start))
        if (shard.rows, shard.dtype, shard.space) != (entry.stop(start) - start, entry.dtype, entry.space):
            raise IntegrityError(f"{shard.path} does not hold what {self.folder / SHARDS_RECORD} says")
        return shard

    def __len__(self) -> int:
        return self._record.rows

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each row, all in memory."""
        return tuple(name for names in self.names_by_shard() for name in names)

    @cached_property
    def embeddings(self) -> Float32[np.ndarray, "n d"]:
        """float32 [n, d], all in memory."""
        return np.concatenate([np.asarray(shard.vectors, np.float32) for shard in self._shards])

    @cached_property
    def identity(self) -> str:
        """Digest of all vectors and their names, from what embedded them and the shards' checksums."""
        return digest([asdict(self._record), [[shard.checksum, shard.head.hex()] for shard in self._shards]])

    def names_by_shard(self) -> Iterator[list[str]]:
        """Yield the names of one shard after the other."""
        return in_parallel(Shard.names, self._shards)

    def require_whole(self) -> None:
        """Read all vectors once and compare them with their checksums, on all cores, before a part of them is used.

        Raises:
            IntegrityError: When a shard is damaged.
        """
        title = "checking the embeddings" if len(self._shards) > _MANY else ""
        for _ in in_parallel(lambda shard: shard.vectors.shape, self._shards, progress=title):
            pass

    def rows_of(self, names: Sequence[str]) -> Int64[np.ndarray, " m"]:
        """Return the row of each name; -1 where there is none."""
        return rows_of_names(self.names_by_shard(), names)

    def mapped(self, rows: Int64[np.ndarray, " m"]) -> MappedVectors:
        """Return the unit vectors of these rows, which are read when they are needed."""
        return MappedVectors(self._shards, rows, source=self.identity)

    def raw(self, rows: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
        """Return the vectors of these rows as they are in the files, finite or not."""
        return self.mapped(rows).raw(slice(None))

    def names_of(self, rows: Int64[np.ndarray, " m"]) -> list[str]:
        """Return the names of rising rows."""
        names: list[str] = []
        for start, part in zip(self._record.starts, self.names_by_shard(), strict=True):
            first, last = np.searchsorted(rows, [start, start + len(part)])
            names += [part[row - start] for row in rows[first:last].tolist()]
        return names

    def similar_names(self, names: Sequence[str]) -> dict[str, int]:
        """Return those of the folder's names, and some row, that a message about missing names may mention."""
        looks = {composed(name) for name in names} | {composed(name.rpartition("#")[0]) for name in names}
        return {name: 0 for part in self.names_by_shard() for name in part if composed(name) in looks}

    def first_name(self) -> str:
        """Return the first row's name."""
        return self._shards[0].names()[0]
