"""A bundle with fewer queries: what is asked of targets that take long, with intervals that widen accordingly."""

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
    """A bundle of which only some queries count.

    Attributes:
        whole: The goldens with every query.
        queries: How many images are embedded as queries at most.
    """

    whole: Goldens
    queries: int

    @cached_property
    def goldens(self) -> Goldens:
        """The goldens with some of the queries, evenly spread; galleries stay as they are."""
        rows = self.whole.query_rows
        return with_queries(self.whole, rows[spread_rows(len(rows), self.queries)])


def asked_of(bundle: Bundle, target: Target, queries: int | None) -> Bundle:
    """The bundle as a target is asked about it: emulated ones with at most ``queries`` queries.

    Raises:
        InputError: For fewer than two.
    """
    if queries is not None and queries < 2:
        raise InputError(f"expected at least 2 queries, got {queries}")
    if queries is None or not target.emulated or queries >= len(bundle.goldens.query_rows):
        return bundle
    return Sampled(bundle.path, bundle.manifest, bundle.space, bundle.preprocessing, bundle.goldens, queries)


def with_queries(goldens: Goldens, rows: Int64[np.ndarray, " q"]) -> Goldens:
    """The goldens with those queries alone that are among ``rows``; tasks that keep none are left out."""
    kept = [dataclasses.replace(task, query=task.query[np.isin(task.query, rows)]) for task in goldens.tasks]
    return dataclasses.replace(goldens, tasks=tuple(task for task in kept if len(task.query)))


def told(bundle: Bundle, asked: Bundle) -> str:
    """Which queries a target was asked about, for people; empty when it was all."""
    if asked is bundle:
        return ""
    some, every = (len(one.goldens.query_rows) for one in (asked, bundle))
    return f"{some} of {every}, evenly spread"
