"""Forward transforms: old vectors mapped to a new space, so that a gallery moves without its images.

After "Forward Compatible Training for Large-Scale Embedding Retrieval Systems" (FCT, arXiv 2112.02805): a small
network ``h`` maps ``[old vector, side information]`` to the new space; side information is anything stored with the
old vector, such as another model's vector of the image. Here ``h`` is any adapter of
:mod:`hetero.adapters` (by default its network with one hidden layer), fitted on vectors of training images.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from hetero.adapters.adapter import Adapter
from hetero.adapters.registry import fit_adapter
from hetero.errors import InputError
from hetero.gallery.exact import Gallery
from hetero.options import OptionValue
from hetero.space import EmbeddingSpace


@dataclass(frozen=True)
class ForwardTransform:
    """A map of old vectors to a new space. Fit one with :meth:`fit`.

    Attributes:
        adapter: Maps float32 [n, c + e] to unit vectors [n, d].
        old: The space of its input vectors.
        new: The space that it maps to.
        side: e, the length of the side information; 0 for none.
    """

    adapter: Adapter
    old: EmbeddingSpace
    new: EmbeddingSpace
    side: int = 0

    @classmethod
    def fit(
        cls,
        old: tuple[EmbeddingSpace, Float32[np.ndarray, "n c"]],
        new: tuple[EmbeddingSpace, Float32[np.ndarray, "n d"]],
        *,
        side: Float32[np.ndarray, "m e"] | None = None,
        kind: str = "mlp",
        **options: OptionValue,
    ) -> ForwardTransform:
        """Fit on vectors of the same images.

        Args:
            old: The old space and float32 [n, c], its vectors.
            new: The new space and float32 [n, d], its unit vectors of the same images.
            side: float32 [n, e], side information of each old vector.
            kind: An adapter of :data:`hetero.adapters.registry.ADAPTERS`.
            **options: Options of the adapter.

        Raises:
            InputError: When the vectors are not pairs, or an option is not valid.
        """
        if side is not None and len(side) != len(old[1]):
            raise InputError(f"side information: expected {len(old[1])} rows, one an old vector, got {len(side)}")
        adapter = fit_adapter(kind, _beside(old[1], side), new[1], **options)
        return cls(adapter, old[0], new[0], 0 if side is None else side.shape[1])

    @property
    def space(self) -> EmbeddingSpace:
        """The new space as the contract of the mapped vectors: it names the space that they were mapped from."""
        return dataclasses.replace(self.new, mapped_from=self.old.space_id)

    def __call__(
        self,
        vectors: Float32[np.ndarray, "n c"],
        space: EmbeddingSpace,
        side: Float32[np.ndarray, "m e"] | None = None,
    ) -> Float32[np.ndarray, "n d"]:
        """Map old vectors.

        Args:
            vectors: float32 [n, c].
            space: Their space.
            side: float32 [n, e], side information as in the fit.

        Raises:
            SpaceMismatchError: When the vectors are not of the old space.
            InputError: When side information is missing, or of another shape.
        """
        self.old.require_same(space, this="the forward transform", that="the vectors")
        shape = (len(vectors), self.side)
        if (side is None) != (self.side == 0) or (side is not None and side.shape != shape):
            got = "none" if side is None else list(side.shape)
            raise InputError(f"side information: expected {list(shape) if self.side else 'none'}, got {got}")
        return self.adapter(_beside(vectors, side))

    def gallery(self, old: Gallery, side: Float32[np.ndarray, "m e"] | None = None) -> Gallery:
        """Map a gallery to the new space; no image is read.

        Args:
            old: A gallery of the old space.
            side: float32 [n, e], in the gallery's order.

        Raises:
            SpaceMismatchError: When the gallery is of another space.
            InputError: When side information is missing, or of another shape.
        """
        moved = Gallery(self.space)
        moved.add(self(old.embeddings, old.space, side), old.names, self.space)
        return moved


def _beside(vectors: Float32[np.ndarray, "n c"], side: Float32[np.ndarray, "m e"] | None) -> Float32[np.ndarray, "n f"]:
    return vectors if side is None else np.concatenate([vectors, side], axis=1)
