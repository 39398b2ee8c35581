"""The least effort at which an approximate search answers as the exact one does, within what a gate allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from hetero.errors import InputError
from hetero.gallery.store import Effort, GalleryStore
from hetero.space import EmbeddingSpace

EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_DEVIATIONS = 1.96


@dataclass(frozen=True)
class Trial:
    """An effort and what it loses.

    Attributes:
        effort: The effort.
        recall: Share of the ``k`` nearest items that it finds, the mean over queries.
        changed: Share of queries that it gives another first item than the exact search. No metric of first answers can
            lose more by it.
        at_most: Upper end of the 95 % interval of ``changed`` (Wilson).
    """

    effort: int
    recall: float
    changed: float
    at_most: float


@dataclass(frozen=True)
class Tuning:
    """The efforts tried, ascending.

    Attributes:
        trials: All up to the first that is good enough.
        queries: Number of queries.
        limit: Largest share of changed first answers that is allowed.
    """

    trials: tuple[Trial, ...]
    queries: int
    limit: float

    @property
    def least(self) -> int | None:
        """The least effort that is shown to stay within the limit; None for none of them."""
        return self.trials[-1].effort if self.trials[-1].at_most <= self.limit else None

    @property
    def needs(self) -> int:
        """Number of queries from which an effort that changes no answer is shown to stay within the limit."""
        return math.ceil(_DEVIATIONS**2 * (1 - self.limit) / self.limit)


def tune(
    store: GalleryStore,
    queries: Float32[np.ndarray, "q d"],
    names: Sequence[str],
    space: EmbeddingSpace,
    *,
    k: int = 10,
    limit: float = 0.01,
    tenant: str = "",
) -> Tuning:
    """Try efforts until one is good enough.

    A query that is itself in the gallery does not find itself: it would be found at any effort.

    Args:
        store: The gallery.
        queries: float32 [q, d], by the student that will ask: other models' queries lose less.
        names: Name of each query; an item of this id is the query itself.
        space: The queries' space.
        k: Number of items that recall counts.
        limit: Largest share of queries whose first answer may change, above 0.
        tenant: The tenant whose items are searched.

    Raises:
        SpaceMismatchError: When the queries are of another space.
        InputError: When there are no queries, or nothing to find.
    """
    if not len(queries) or not limit > 0:
        raise InputError(f"expected queries and a limit above 0, got {len(queries)} queries and {limit:g}")

    def answers(effort: Effort) -> list[list[str]]:
        nearest = store.search(queries, k + 1, space, tenant=tenant, effort=effort).ids
        return [[name for name in ids if name != own][:k] for own, ids in zip(names, nearest, strict=True)]

    exact = answers("exact")
    if not all(exact):
        raise InputError("the gallery holds nothing for a query to find: add items first")
    trials: list[Trial] = []
    for effort in EFFORTS:
        trials.append(_compared(effort, answers(effort), exact))
        if trials[-1].at_most <= limit:
            break
    return Tuning(tuple(trials), len(queries), limit)


def differences(
    near: Sequence[Sequence[object]], exact: Sequence[Sequence[object]]
) -> tuple[Float64[np.ndarray, " q"], float]:
    """Compare what a search finds with what an exact one does.

    Args:
        near: For each query what was found, best first.
        exact: The same of the exact search, at least one each.

    Returns:
        float64 [q], 1 for a query whose first item is another, else 0; and the share of the exact items that is found.
    """
    pairs = list(zip(near, exact, strict=True))
    changed = np.array([some[:1] != best[:1] for some, best in pairs], np.float64)
    return changed, float(np.mean([len({*some} & {*best}) / len(best) for some, best in pairs]))


def _compared(effort: int, near: list[list[str]], exact: list[list[str]]) -> Trial:
    changed, recall = differences(near, exact)
    share = float(changed.mean())
    return Trial(effort, recall, share, _upper_end(share, len(changed)))


def _upper_end(share: float, count: int) -> float:
    square = _DEVIATIONS**2
    spread = _DEVIATIONS * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return (share + square / (2 * count) + spread) / (1 + square / count)
