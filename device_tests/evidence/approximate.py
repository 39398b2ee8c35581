"""A release manager's gallery as a service searches it: approximately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from hetero.errors import InputError
from hetero.gallery.store import GalleryStore
from hetero.gallery.tuning import differences
from hetero.lengths import lengths, scaled
from hetero.space import EmbeddingSpace

DEPTH = 10


@dataclass(frozen=True)
class ApproximateGallery:
    """A gallery store, and how it is searched in production.

    Attributes:
        store: The store.
        effort: Candidates that its search keeps.
        address: Its address, for people.
        space: The space that it serves.
        tenant: The tenant whose items are searched.
    """

    store: GalleryStore
    effort: int
    address: str
    space: EmbeddingSpace
    tenant: str = ""

    def require_answers(self) -> None:
        """Refuse a store that cannot answer as configured: then nothing would be measured.

        Raises:
            InputError: If the tenant has no item, or the store refuses the effort.
        """
        probe = np.eye(1, self.space.dimension, dtype=np.float32)
        for effort in ("exact", self.effort):
            matches = self.store.search(probe, 1, self.space, tenant=self.tenant, effort=effort)
            if not matches.ids[0]:
                raise InputError(
                    f"the gallery store {self.address} holds no item of the tenant {self.tenant!r}: add items first, "
                    "or name another --tenant"
                )

    def require_fits(self, space: EmbeddingSpace, bundle: str) -> None:
        """Refuse a bundle of another space.

        Args:
            space: The bundle's space.
            bundle: The bundle's name.

        Raises:
            SpaceMismatchError: If the store serves another one.
        """
        self.space.require_same(space, this=f"the gallery store {self.address}", that=f"the bundle {bundle}")

    def compare(self, queries: Float32[np.ndarray, "q d"]) -> tuple[Float64[np.ndarray, " q"], float]:
        """Search the store as configured, and exactly.

        Args:
            queries: float32 [q, d], finite and none of them zero.

        Returns:
            float64 [q], 1 for a query whose first answer is another, else 0; and the share of the :data:`DEPTH` nearest
            that is found.

        Raises:
            SpaceMismatchError: If the store serves another space by now.
            InputError: If nothing is left in it to be found.
        """
        vectors = scaled(queries, lengths(queries))
        exact, near = (
            self.store.search(vectors, DEPTH, self.space, tenant=self.tenant, effort=effort).ids
            for effort in ("exact", self.effort)
        )
        if not all(exact):
            raise InputError(f"the gallery store {self.address} has been emptied: nothing is found in it")
        return differences(near, exact)
