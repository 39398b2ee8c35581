"""The backfill curve: M against the share of the gallery that the new model has re-embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.defined import mean
from hetero.metrics.retrieval import PerQuery, evaluate


@dataclass(frozen=True)
class Backfill:
    """A gallery in transition from an old model to a new one, searched by the new model's queries.

    Attributes:
        query: float32 [q, d], the new model's unit vectors.
        new: float32 [g, d], the new model's unit vectors of the gallery.
        old: float32 [g, c], the old model's unit vectors of the same images.
        query_labels: int64 [q], the class of each query.
        gallery_labels: int64 [g], the class of each gallery image.
        exclude: int64 [q], the gallery row that is the query itself; -1 for none.
        query_as_old: float32 [q, c], the queries converted to the old space; ``None`` where that is the same space, so
            that c = d.
    """

    query: Float32[np.ndarray, "q d"]
    new: Float32[np.ndarray, "g d"]
    old: Float32[np.ndarray, "g c"]
    query_labels: Int64[np.ndarray, " q"]
    gallery_labels: Int64[np.ndarray, " g"]
    exclude: Int64[np.ndarray, " q"]
    query_as_old: Float32[np.ndarray, "q c"] | None = None

    def with_queries(self, rows: Int64[np.ndarray, " r"]) -> Backfill:
        """Return the same gallery, searched by some of the queries only."""
        return replace(
            self,
            query=self.query[rows],
            query_labels=self.query_labels[rows],
            exclude=self.exclude[rows],
            query_as_old=None if self.query_as_old is None else self.query_as_old[rows],
        )

    def sides(self, renewed: Bool[np.ndarray, " g"]) -> tuple[Float32[np.ndarray, "q e"], Float32[np.ndarray, "g e"]]:
        """Return queries and gallery whose inner products are those with the ``renewed`` images re-embedded.

        Where the old space takes the queries unchanged, old and new vectors are mixed as they are. Otherwise the two
        spaces stand side by side: a query holds its vectors in both, a gallery image its own vector, and zeros.
        """
        if self.query_as_old is None:
            return self.query, np.where(renewed[:, None], self.new, self.old)
        new, old = np.where(renewed[:, None], self.new, 0), np.where(renewed[:, None], 0, self.old)
        return np.hstack([self.query, self.query_as_old]), np.hstack([new, old]).astype(np.float32, copy=False)

    def evaluate(self, renewed: Bool[np.ndarray, " g"], metrics: Sequence[str] | None = None) -> PerQuery:
        """Measure every query (:func:`hetero.metrics.evaluate`) with the ``renewed`` images re-embedded."""
        query, gallery = self.sides(renewed)
        sides = (query, gallery, self.query_labels, self.gallery_labels)
        return evaluate(*sides, exclude=self.exclude, metrics=metrics)


@dataclass(frozen=True)
class BackfillCurve:
    """The metrics of a gallery as a growing share of it is re-embedded.

    Attributes:
        shares: Shares of the gallery re-embedded, ascending from 0 to 1.
        values: At each share, metric name -> float64 [q].
    """

    shares: tuple[float, ...]
    values: tuple[PerQuery, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self.values[0])

    def means(self, metric: str) -> list[float]:
        """Return M at each share."""
        return [mean(at_share[metric]) for at_share in self.values]

    def areas(self, metric: str) -> Float64[np.ndarray, " q"]:
        """Return the area under each query's own curve (trapezoids); their mean is the area under the curve of M.

        It is the average figure of a query while the backfill proceeds at a steady pace.
        """
        return np.asarray(np.trapezoid([at_share[metric] for at_share in self.values], self.shares, axis=0))


def backfill_curves(
    backfill: Backfill,
    orders: Mapping[str, Int64[np.ndarray, " g"]],
    shares: Sequence[float],
    metrics: Sequence[str] | None = None,
) -> dict[str, BackfillCurve]:
    """Measure how M grows when the gallery is re-embedded in several orders.

    It takes one exact search of the gallery for every order and share; at 0 and 1, where all orders agree, one for all.

    Args:
        backfill: Queries and gallery.
        orders: Name -> int64 [g], gallery rows in the order of their re-embedding.
        shares: Shares of the gallery to measure at, ascending, the first 0 and the last 1.
        metrics: Names; None for all metrics of a full evaluation.

    Raises:
        InputError: For invalid shares or orders, and when a query has no relevant image.
    """
    size = len(backfill.new)
    _check(orders, shares, size)
    nothing, everything = (backfill.evaluate(np.full(size, renewed), metrics) for renewed in (False, True))
    curves: dict[str, BackfillCurve] = {}
    for name, order in orders.items():
        between = [backfill.evaluate(_first(order, share), metrics) for share in shares[1:-1]]
        curves[name] = BackfillCurve(tuple(shares), (nothing, *between, everything))
    return curves


def _first(order: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    renewed = np.zeros(len(order), bool)
    renewed[order[: round(share * len(order))]] = True
    return renewed


def _check(orders: Mapping[str, NDArray[np.int64]], shares: Sequence[float], size: int) -> None:
    problems = [
        f"order {name}: expected each of the {size} gallery rows once"
        for name, order in orders.items()
        if not np.array_equal(np.sort(order), np.arange(size))
    ]
    ascending = all(a < b for a, b in pairwise(shares))
    if len(shares) < 2 or shares[0] != 0 or shares[-1] != 1 or not ascending:
        problems.append(f"shares: expected an ascending list from 0 to 1, got {list(shares)}")
    if problems:
        raise InputError("cannot draw a backfill curve:", problems)
