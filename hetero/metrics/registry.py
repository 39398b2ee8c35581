"""The figures of retrieval, each declared once for all code that measures, judges, shows or chooses by it.

A metric of your own is registered by :func:`register` when its module is imported; tests and notebooks use
:func:`registered`, which undoes itself. A process knows only the metrics that were registered in it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from hetero.errors import InputError

Measured = Literal["in brief", "in full", "by name"]


@dataclass(frozen=True)
class Found:
    """The results of a search.

    Attributes:
        right: bool [q, n], best first: True where one of the nearest has the query's label. For a metric with a
            ``depth`` there are that many (or the whole gallery); otherwise as many as each query has relevant images,
            and False beyond.
        relevant: int64 [q], number of images of the query's label in the gallery, at least one.
    """

    right: Bool[np.ndarray, "q n"]
    relevant: Int64[np.ndarray, " q"]

    def within(self, depth: int | None) -> Found:
        """Return the part of the results that a metric of this depth uses."""
        if depth is not None:
            return Found(self.right[:, :depth], self.relevant)
        ranks = np.arange(1, self.right.shape[1] + 1)
        return Found(self.right & (ranks <= self.relevant[:, None]), self.relevant)


@dataclass(frozen=True)
class Metric:
    """A figure of retrieval.

    Attributes:
        name: Its name everywhere.
        about: Its definition in one line, as in ``docs/metrics.md``.
        values: Maps results to float64 [q], one value for each query; NaN where it is not defined, which leaves the
            query out of means.
        depth: Number of nearest images that it uses; None for as many as are relevant.
        larger_is_better: False for a metric by which nothing can be chosen; its gates are ceilings.
        measured: ``in brief``: wherever retrieval is measured; ``in full``: where all figures are shown, as in a
            compatibility matrix; ``by name``: only where it is requested.
    """

    name: str
    about: str
    values: Callable[[Found], Float64[np.ndarray, " q"]]
    depth: int | None = None
    larger_is_better: bool = True
    measured: Measured = "in brief"


def _any_right(found: Found) -> NDArray[np.float64]:
    return np.asarray(found.right.any(axis=1), np.float64)


def _average_precision(found: Found) -> NDArray[np.float64]:
    ranks = np.arange(1, found.right.shape[1] + 1)
    precision = np.cumsum(found.right, axis=1, dtype=np.int32) / ranks
    return (precision * found.right).sum(axis=1) / found.relevant


def _share_found(found: Found) -> NDArray[np.float64]:
    return found.right.sum(axis=1) / found.relevant


_AT_ANY_K = {
    "cmc": Metric(
        "cmc@k",
        "1 when a relevant image is among the k nearest, else 0 (metric learning calls it Recall@k)",
        _any_right,
        measured="by name",
    ),
    "recall": Metric(
        "recall@k",
        "share of the R relevant images that are among the k nearest",
        _share_found,
        measured="by name",
    ),
}


def _at(stem: str, k: int, measured: Measured = "by name") -> Metric:
    kind = _AT_ANY_K[stem]
    return Metric(f"{stem}@{k}", kind.about, kind.values, k, kind.larger_is_better, measured)


_REGISTERED = {
    metric.name: metric
    for metric in (
        _at("cmc", 1, "in brief"),
        _at("cmc", 10, "in full"),
        Metric(
            "map@r",
            "with R relevant images: 1/R · Σ over ranks i ≤ R of (precision at i if the i-th is relevant)",
            _average_precision,
        ),
    )
}


def register(metric: Metric) -> None:
    """Register a metric by its name, from now on and in this process.

    Raises:
        InputError: When there is already a metric of this name.
    """
    if _find(metric.name) is not None or metric.name in {kind.name for kind in _AT_ANY_K.values()}:
        raise InputError(f"there is a metric called {metric.name!r} already; give yours another name")
    _REGISTERED[metric.name] = metric


@contextlib.contextmanager
def registered(metric: Metric) -> Generator[Metric]:
    """Register a metric as :func:`register` does, until the end of a ``with`` block."""
    register(metric)
    try:
        yield metric
    finally:
        del _REGISTERED[metric.name]


def metric_called(name: str) -> Metric:
    """Return the metric of this name, for instance ``map@r`` or ``cmc@5``.

    Raises:
        InputError: When there is no such metric.
    """
    if (metric := _find(name)) is None:
        raise InputError(f"expected one of {', '.join(known())}, got {name!r}")
    return metric


def known() -> tuple[str, ...]:
    """Return the names of all metrics, with ``k`` in place of any number."""
    return (*_REGISTERED, *(kind.name for kind in _AT_ANY_K.values()))


def choices() -> tuple[str, ...]:
    """Return the :func:`known` whose larger values are better: those that weights or architectures are chosen by."""
    every = (*_REGISTERED.values(), *_AT_ANY_K.values())
    return tuple(metric.name for metric in every if metric.larger_is_better)


def choices_in_words(*words: str) -> str:
    """Return some words and the :func:`choices` for a message, as in ``auto, cmc@1 or map@r``."""
    *others, last = (*words, *choices())
    return f"{', '.join(others)} or {last}"


def is_choice(name: str) -> bool:
    """Return True if something may be chosen by the metric of this name."""
    metric = _find(name)
    return metric is not None and metric.larger_is_better


def in_brief(*names: str) -> tuple[str, ...]:
    """Return the metrics that are measured wherever retrieval is, and those of these ``names``, each once."""
    return tuple(
        dict.fromkeys([*(metric.name for metric in _REGISTERED.values() if metric.measured == "in brief"), *names])
    )


def in_full(*names: str) -> tuple[str, ...]:
    """Return the metrics that are measured where all figures are shown, and those of these ``names``, each once."""
    return tuple(
        dict.fromkeys([*(metric.name for metric in _REGISTERED.values() if metric.measured != "by name"), *names])
    )


def at_depths(
    metrics: Sequence[str] | None, ks: Sequence[int] | None = None, recall_ks: Sequence[int] = ()
) -> tuple[str, ...]:
    """Return the names of the metrics that an evaluation measures.

    Args:
        metrics: Names; None for all metrics of a full evaluation, with ``cmc`` and ``recall`` at the following depths.
        ks: The k of ``cmc@k``; None for the usual ones.
        recall_ks: The k of ``recall@k``.
    """
    if metrics is not None:
        return tuple(metrics)
    usual = in_full()
    if ks is not None:
        usual = (*(f"cmc@{k}" for k in ks), *(name for name in usual if not name.startswith("cmc@")))
    return (*usual, *(f"recall@{k}" for k in recall_ks))


def _find(name: str) -> Metric | None:
    parts = re.fullmatch(r"(\w+)@([1-9]\d{0,8})", name)
    if name in _REGISTERED or parts is None or parts[1] not in _AT_ANY_K:
        return _REGISTERED.get(name)
    return _at(parts[1], int(parts[2]))
