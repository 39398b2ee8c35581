"""Where the new vectors of a gallery's items come from: a model and images, or a file of embeddings made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from hetero.data.embeddings.file import Embeddings, is_sharded, load_embeddings
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.errors import InputError
from hetero.files import digest, sha256_file
from hetero.lengths import unit
from hetero.space import EmbeddingSpace

if TYPE_CHECKING:
    from hetero.pipeline.embedding.job import Job

_FILES = (".safetensors", ".npy")


@runtime_checkable
class VectorSource(Protocol):
    """Vectors of one space by row. It is sent to other processes, which open it themselves."""

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the vectors."""
        ...

    @property
    def identity(self) -> str:
        """Digest of what decides rows and vectors."""
        ...

    def rows_of(self, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Return the row of each name; -1 where there is none."""
        ...

    def vectors(self, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Compute or read the unit vectors of some rows."""
        ...

    def again(self) -> VectorSource:
        """Return a source that looks anew for what there is."""
        ...


@dataclass(frozen=True)
class ModelSource:
    """A model that embeds images.

    Attributes:
        job: Model and images.
    """

    job: Job

    @property
    def space(self) -> EmbeddingSpace:
        """The model's space."""
        return self.job.opened.embedder.space

    @property
    def identity(self) -> str:
        """Digest of the model and the images."""
        return digest([self.job.opened.identity, self.job.source.fingerprint])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.job.source.names)}

    def __getstate__(self) -> dict[str, object]:
        """Return what it was made with; another process opens model and images itself."""
        return {"job": self.job}

    def rows_of(self, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Return the row of each name; -1 where there is none."""
        return np.array([self._rows.get(name, -1) for name in names], np.int64)

    def vectors(self, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Embed the images of some rows."""
        # Late: a file of embeddings needs no torch.
        from hetero.models.external.embedders import embed_rows
        from hetero.pipeline.embedding.job import one_thread_each

        with one_thread_each():
            return embed_rows(self.job.opened.embedder, self.job.source.images, rows)

    def again(self) -> ModelSource:
        """Return a source that lists the images anew."""
        return ModelSource(replace(self.job))


@dataclass(frozen=True)
class FileSource:
    """Embeddings that were made elsewhere.

    Attributes:
        path: A file of embeddings, or a folder of shards.
    """

    path: Path

    @cached_property
    def _file(self) -> Embeddings:
        return load_embeddings(self.path)

    @property
    def space(self) -> EmbeddingSpace:
        """The space that the file states, or that it defines."""
        return self._file.space

    @property
    def identity(self) -> str:
        """Digest of the file."""
        return self._identity

    @cached_property
    def _identity(self) -> str:
        return self._file.identity if isinstance(self._file, EmbeddingShards) else sha256_file(self.path)

    def __getstate__(self) -> dict[str, object]:
        """Return the path; another process reads the file itself."""
        return {"path": self.path}

    def rows_of(self, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Return the row of each name; -1 where there is none."""
        return self._file.rows_of(names)

    def vectors(self, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Read the vectors of some rows."""
        if isinstance(self._file, EmbeddingShards):
            return self._file.mapped(rows)[:]
        return unit(self._file.embeddings[rows], what="the embeddings")

    def again(self) -> FileSource:
        """Return a source that reads the file anew."""
        return FileSource(self.path)


def open_source(model: str, job: Job | None) -> VectorSource:
    """Return where the vectors come from.

    Args:
        model: A file or folder of embeddings, or a model as ``hetero embed`` takes it.
        job: The model with its images; None where none were given.

    Raises:
        InputError: For a model without images, or embeddings with some.
    """
    path = Path(model)
    if is_sharded(path) or path.suffix in _FILES:
        if job is not None:
            raise InputError(f"--data: {model} holds vectors, which take no images; leave it out, or give a model")
        return FileSource(path.absolute())
    if job is None:
        raise InputError(f"--data: expected where the images of the gallery's items are, which {model} embeds")
    return ModelSource(job)


def require_same(source: VectorSource, identity: str) -> None:
    """Refuse to compute where something else is seen than where the work is given out.

    Raises:
        InputError: When this process sees another model, other images or another file.
    """
    if source.identity != identity:
        raise InputError(
            "a worker sees another model, other images or another file than the command that gives it work: they "
            "changed in the meantime, or the machine has others at the same paths; run the command again"
        )
