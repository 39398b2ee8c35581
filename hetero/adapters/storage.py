"""An adapter directory: ``adapter.safetensors``, ``space.json`` (of the vectors it returns) and ``adapter.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.adapters.adapter import Adapter
from hetero.adapters.registry import adapter_class, kind_of
from hetero.errors import InputError, IntegrityError
from hetero.files import sha256_file, write_json
from hetero.recognition.kinds import ADAPTER
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file, record
from hetero.space import EmbeddingSpace
from hetero.storage.directories import replaced_directory, steadily

ARRAYS = "adapter.safetensors"
SPACE = "space.json"
RECORD = "adapter.json"


@record
class AdapterRecord:
    """The content of ``adapter.json``.

    Attributes:
        kind: Name of the adapter.
        source: The space of the vectors that it takes.
        arrays: SHA-256 of ``adapter.safetensors``.
        target: Id of the space of the vectors that it returns.
        schema: Version of this record.
    """

    kind: Literal["procrustes", "ridge", "mlp", "interpolation"]
    source: EmbeddingSpace
    arrays: str
    target: str
    schema: Literal["hetero/adapter/1"] = "hetero/adapter/1"


@dataclass(frozen=True)
class SpaceAdapter:
    """An adapter with its source and target space.

    Attributes:
        adapter: The map.
        source: The space of the vectors that it takes.
        target: The space of the vectors that it returns. They were not trained to live in it: measure before use.
    """

    adapter: Adapter
    source: EmbeddingSpace
    target: EmbeddingSpace

    def __call__(self, vectors: Float32[np.ndarray, "n s"], space: EmbeddingSpace) -> Float32[np.ndarray, "n t"]:
        """Map vectors.

        Args:
            vectors: float32 [n, s].
            space: Their space.

        Raises:
            SpaceMismatchError: When that is not the adapter's source.
        """
        self.source.require_same(space, this="the adapter's source", that="the vectors")
        return self.adapter(vectors)

    def save(self, directory: Path) -> None:
        """Write an adapter directory atomically, replacing any adapter there.

        Raises:
            InputError: When the directory holds something else.
        """
        from safetensors.numpy import save_file

        occupied = directory.is_file() or (directory.is_dir() and any(directory.iterdir()))
        if occupied and not (directory / RECORD).is_file():
            raise InputError(f"{directory} exists and is not an adapter; choose another place or remove it")
        with replaced_directory(directory) as fresh:
            arrays = {name: np.array(array, order="C") for name, array in self.adapter.arrays().items()}
            save_file(arrays, fresh / ARRAYS)
            self.target.save(fresh / SPACE)
            entry = AdapterRecord(
                kind=kind_of(self.adapter),  # pyright: ignore[reportArgumentType]
                source=self.source,
                arrays=sha256_file(fresh / ARRAYS),
                target=self.target.space_id,
            )
            write_json(fresh / RECORD, dataclasses.asdict(entry))

    @classmethod
    def load(cls, directory: Path) -> SpaceAdapter:
        """Read an adapter directory.

        Raises:
            InputError: When there is no adapter.
            IntegrityError: When a file is missing, changed or not valid.
        """
        return steadily(directory, cls._load)

    @classmethod
    def _load(cls, directory: Path) -> SpaceAdapter:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        refuse_others(directory, ADAPTER)
        if not (directory / RECORD).is_file():
            raise InputError(f"expected an adapter at {directory}, found no {RECORD} there")
        entry = parse_file(AdapterRecord, directory / RECORD)
        if not (directory / ARRAYS).is_file() or sha256_file(directory / ARRAYS) != entry.arrays:
            raise IntegrityError(f"{directory / ARRAYS} is missing or not the file that {RECORD} names; fit it again")
        target = EmbeddingSpace.load(directory / SPACE)
        if target.space_id != entry.target:
            raise IntegrityError(f"{directory / SPACE} is not the space that {RECORD} names; fit the adapter again")
        try:
            arrays = load_file(directory / ARRAYS)
            adapter = adapter_class(entry.kind)(**arrays)
            _try_out(adapter, arrays.values(), entry.source.dimension, target.dimension)
        except (SafetensorError, TypeError, KeyError, ValueError, InputError) as error:
            raise IntegrityError(f"{directory / ARRAYS} does not hold a {entry.kind} adapter: {error}") from None
        return cls(adapter, entry.source, target)


def _try_out(adapter: Adapter, arrays: Collection[NDArray[np.float32]], source: int, target: int) -> None:
    """Refuse arrays that would fail, or map to another dimension, when the first vectors are mapped.

    Raises:
        ValueError: When they do not fit each other or the two dimensions.
        InputError: When the mapped vector has no direction.
    """
    if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in arrays):
        raise ValueError("expected finite float32 arrays")
    # Checked first, so that no test vector is longer than the file's own arrays.
    if not any(source in array.shape for array in arrays):
        raise ValueError(f"no array fits vectors of {source} dimensions")
    mapped = adapter(np.random.default_rng(0).normal(size=(1, source)).astype(np.float32))
    if mapped.shape != (1, target):
        raise ValueError(f"expected vectors of {target} dimensions from it, got {list(mapped.shape)}")
