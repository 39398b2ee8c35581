"""A bundle with fewer queries, for slow targets; the intervals widen accordingly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from device_tests.targets.target import Target
from export.bundle.goldens import Goldens, spread_rows
from export.bundle.reading import Bundle
from hetero.errors import InputError


@dataclass(frozen=True)
class Sampled(Bundle):
    """A bundle with a sample of its queries.

    Attributes:
        whole: The goldens with every query.
        queries: Most images that are embedded as queries.
    """

    whole: Goldens
    queries: int

    @cached_property
    def goldens(self) -> Goldens:
        """The goldens with some of the queries, evenly spread; galleries stay unchanged."""
        rows = self.whole.query_rows
        return with_queries(self.whole, rows[spread_rows(len(rows), self.queries)])


def asked_of(bundle: Bundle, target: Target, queries: int | None) -> Bundle:
    """Return the bundle to verify on a target: with at most ``queries`` queries on an emulated one.

    Raises:
        InputError: For fewer than two.
    """
    if queries is not None and queries < 2:
        raise InputError(f"expected at least 2 queries, got {queries}")
    if queries is None or not target.emulated or queries >= len(bundle.goldens.query_rows):
        return bundle
    return Sampled(bundle.path, bundle.manifest, bundle.space, bundle.preprocessing, bundle.goldens, queries)


def with_queries(goldens: Goldens, rows: Int64[np.ndarray, " q"]) -> Goldens:
    """Return goldens with only those queries that are among ``rows``; tasks without any are left out."""
    tasks = [dataclasses.replace(task, query=task.query[np.isin(task.query, rows)]) for task in goldens.tasks]
    return dataclasses.replace(goldens, tasks=tuple(task for task in tasks if len(task.query)))


def told(bundle: Bundle, asked: Bundle) -> str:
    """Describe the sample of queries on a target, for people; empty if it was all of them."""
    if asked is bundle:
        return ""
    some, every = (len(one.goldens.query_rows) for one in (asked, bundle))
    return f"{some} of {every}, evenly spread"
