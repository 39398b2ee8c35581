"""A derived space on disk: ``space.json``, which names its parent, and ``rotation.safetensors``, which leads there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hetero.adapters.adapter import unit
from hetero.compact.rotation import Rotation, fitted
from hetero.data.embeddings.mapped import Vectors
from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.files import sha256_bytes, write_bytes
from hetero.space import Derivation, EmbeddingSpace
from hetero.storage.directories import steadily

SPACE, ROTATION = "space.json", "rotation.safetensors"
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class DerivedSpace:
    """A space of rotated and shortened vectors of another space. Make one with :meth:`of` or :meth:`load`.

    Attributes:
        space: Its contract, which names the parent.
        rotation: The rotation.
    """

    space: EmbeddingSpace
    rotation: Rotation

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        parent: EmbeddingSpace,
        dimension: int,
        *,
        kind: Literal["pca", "itq"] = "pca",
    ) -> DerivedSpace:
        """Fit a rotation to vectors, and derive the space of their first coordinates.

        Args:
            vectors: float32 [n, d], unit vectors of the parent space.
            parent: Their space.
            dimension: Number of coordinates to keep.
            kind: ``pca``, whose prefixes are spaces, too, or ``itq`` for signs.

        Raises:
            InputError: When there are too few vectors or dimensions.
        """
        return cls.of(parent, fitted(vectors, dimension, kind), dimension)

    @classmethod
    def of(cls, parent: EmbeddingSpace, rotation: Rotation, dimension: int) -> DerivedSpace:
        """Derive a space.

        Args:
            parent: The space of the vectors that are rotated.
            rotation: The rotation.
            dimension: Number of coordinates to keep.

        Raises:
            InputError: When the parent's vectors are not of length one, or the rotation has fewer coordinates.
        """
        if not parent.unit_norm:
            raise InputError(f"expected a space of unit vectors to derive another from, {parent.name} has any lengths")
        wide, most = rotation.matrix.shape
        if wide != parent.dimension or not 1 <= dimension <= most:
            raise InputError(
                f"expected 1 to {most} dimensions of a rotation of {wide}, got {dimension} in a space of "
                f"{parent.dimension}"
            )
        sha256 = sha256_bytes(_file_of(rotation))
        return cls(parent.derive(rotation=sha256, kind=rotation.kind, dimension=dimension), rotation)

    @property
    def derivation(self) -> Derivation:
        """The parent and the rotation, as the contract names them."""
        assert self.space.derived is not None
        return self.space.derived

    def __call__(self, vectors: Float32[np.ndarray, "n d"], space: EmbeddingSpace) -> Float32[np.ndarray, "n k"]:
        """Bring vectors into this space.

        Args:
            vectors: float32 [n, d].
            space: Their space: the parent, or a longer space of the same rotation.

        Raises:
            SpaceMismatchError: When it is another space.
        """
        if self._is_longer(space):
            return unit(vectors[:, : self.space.dimension])
        self.require_parent(space, that="the vectors")
        return self.rotation(vectors, self.space.dimension)

    def require_parent(self, space: EmbeddingSpace, *, that: str) -> None:
        """Refuse another space than the parent.

        Args:
            space: The space of the other side.
            that: Name of that side.
        """
        if space.space_id != self.derivation.parent:
            raise SpaceMismatchError(
                f"{self.space.name} {self.space.version} ({self.space.space_id}) is derived from {self.space.name} "
                f"{self.derivation.parent_version} ({self.derivation.parent}), and {that} hold vectors of {space.name} "
                f"{space.version} ({space.space_id}): a rotation of one space means nothing in another"
            )

    def prefix(self, dimension: int) -> DerivedSpace:
        """Return the space of the first coordinates, one of its own.

        Raises:
            InputError: When this space has fewer, or is not in the order of principal directions.
        """
        if self.rotation.kind != "pca":
            raise InputError(f"the first coordinates of a rotation by {self.rotation.kind} are no space: derive by pca")
        if not 1 <= dimension <= self.space.dimension:
            raise InputError(f"expected 1 to {self.space.dimension} dimensions, got {dimension}")
        return replace(self, space=self.space.shorten(dimension))

    def _is_longer(self, space: EmbeddingSpace) -> bool:
        return (
            self.rotation.kind == "pca" and space.derived == self.derivation and space.dimension >= self.space.dimension
        )

    def write(self, folder: Path) -> None:
        """Write both files into a folder, which may hold others."""
        write_bytes(folder / ROTATION, _file_of(self.rotation))
        self.space.save(folder / SPACE)

    @classmethod
    def load(cls, folder: Path) -> DerivedSpace:
        """Read a derived space.

        Raises:
            InputError: When there is none.
            IntegrityError: When a file is missing, changed or not valid.
        """
        return steadily(folder, cls._load)

    @classmethod
    def _load(cls, folder: Path) -> DerivedSpace:
        space, path = EmbeddingSpace.load(folder / SPACE), folder / ROTATION
        if space.derived is None:
            raise InputError(
                f"{folder / SPACE} is not derived from another space; `hetero gallery compact` derives one"
            )
        data = path.read_bytes() if path.is_file() else b""
        if sha256_bytes(data) != space.derived.rotation:
            raise IntegrityError(f"{path} is missing or not the file that {SPACE} names; derive the space again")
        try:
            matrix = load(data)["rotation"]
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"{path} does not hold a rotation: {error}") from None
        _require_rotation(path, matrix, space.dimension)
        return cls(space, Rotation(space.derived.kind, matrix))


def _file_of(rotation: Rotation) -> bytes:
    return save({"rotation": np.ascontiguousarray(rotation.matrix, np.float32)})


def _require_rotation(path: Path, matrix: np.ndarray, dimension: int) -> None:
    """Refuse anything but orthonormal columns: other matrices would change what cosines mean."""
    shape = list(matrix.shape)
    if matrix.dtype != np.float32 or matrix.ndim != 2 or not dimension <= shape[1] <= shape[0]:
        raise IntegrityError(
            f"{path}: expected a rotation as float32 [d, c] of at least {dimension} columns, got {matrix.dtype} {shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(matrix.T.astype(np.float64) @ matrix - np.eye(shape[1])).max()
    if not error < _TOLERANCE:
        raise IntegrityError(f"{path}: expected orthonormal columns, these are off by {error:.3g}")
