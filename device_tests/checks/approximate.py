"""An approximate gallery as it is configured: does its index lose answers that an exact search finds?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from device_tests.checks.finding import Figure
from device_tests.checks.limit import Gated, at_most, queries_for_loss, shown
from hetero.gallery.store import GalleryStore
from hetero.lengths import lengths, scaled
from hetero.metrics.bootstrap import mean_interval
from hetero.space import EmbeddingSpace

_DEPTH = 10


@dataclass(frozen=True)
class ApproximateGallery:
    """A gallery store, and how it is searched in production.

    Attributes:
        store: The store.
        effort: Candidates that its search keeps.
        address: Its address, for people.
        tenant: The tenant whose items are searched.
    """

    store: GalleryStore
    effort: int
    address: str
    tenant: str = ""

    def require_fits(self, space: EmbeddingSpace, bundle: str) -> None:
        """Refuse a bundle of another space.

        Args:
            space: The bundle's space.
            bundle: The bundle's name.

        Raises:
            SpaceMismatchError: If the store serves another one.
        """
        self.store.space.require_same(space, this=f"the gallery store {self.address}", that=f"the bundle {bundle}")

    def check(self, queries: Float32[np.ndarray, "q d"], limit: float) -> tuple[Gated, Mapping[str, Figure]]:
        """Limit the share of queries whose first answer is not that of an exact search of the same store.

        No metric of first answers can lose more by the index, whatever is right. Labels of the store's items are not
        needed.

        Args:
            queries: float32 [q, d], finite and none of them zero: a target's vectors.
            limit: Largest share, as of the loss against torch.

        Returns:
            The gate, and figures for the rung.
        """
        vectors, space = scaled(queries, lengths(queries)), self.store.space
        exact, near = (
            self.store.search(vectors, _DEPTH, space, tenant=self.tenant, effort=effort).ids
            for effort in ("exact", self.effort)
        )
        changed = np.array([some[:1] != best[:1] for some, best in zip(near, exact, strict=True)], np.float64)
        recall = [len({*some} & {*best}) / max(1, len(best)) for some, best in zip(near, exact, strict=True)]
        figure, count = mean_interval(changed), len(changed)
        least = queries_for_loss(limit, queries=count, weight=1 / count)
        text = (
            f"{int(changed.sum())} of {count} queries get another first answer from {self.address} at effort "
            f"{self.effort} than from an exact search of it: a share of {shown(figure)}; {limit:g} is allowed"
        )
        figures: dict[str, Figure] = {
            "store_changed": figure.value,
            "store_changed_low": figure.low,
            "store_changed_high": figure.high,
            f"store_recall@{_DEPTH}": float(np.mean(recall)),
            "store_effort": self.effort,
        }
        return Gated(figure, at_most(figure, limit, queries=count, least=least), text), figures
