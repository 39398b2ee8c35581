"""Further figures of a run, requested by name: rates at a threshold, flips, and any metric of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetero.errors import InputError
from hetero.metrics.registry import known, metric_called

TAR, TNIR, FNIR = "tar@far", "tnir@fpir", "fnir@fpir"
AT_A_RATE = (TAR, TNIR, FNIR)
"""Rates at the threshold that accepts a stated share of wrong matches."""
FLIPS = ("nfr", "pfr", "rel-nfr")


@dataclass(frozen=True)
class Asked:
    """One requested figure.

    Attributes:
        kind: One of :data:`AT_A_RATE`, one of :data:`FLIPS`, or a metric of retrieval.
        rate: The false rate at which the threshold is set, 0 to 1; None for figures without a threshold.
    """

    kind: str
    rate: float | None = None

    @property
    def name(self) -> str:
        """Name for people, for instance ``tar@far=0.001``."""
        return self.kind if self.rate is None else f"{self.kind}={self.rate:g}"


def asked_for(names: Sequence[str]) -> tuple[Asked, ...]:
    """Read the names of figures as people write them, each once.

    Args:
        names: For instance ``tar@far=1e-3``, ``nfr``, ``recall@10``; one text may hold several, separated by commas.

    Raises:
        InputError: With every name that is wrong.
    """
    problems: list[str] = []
    figures: dict[Asked, None] = {}
    for name in (part.strip() for text in names for part in text.split(",")):
        kind, separator, rate = name.partition("=")
        if problem := _problem(kind, rate if separator else None):
            problems.append(f"{name or 'an empty name'}: {problem}")
        else:
            figures[Asked(kind, float(rate) if separator else None)] = None
    if problems:
        raise InputError("these metrics cannot be measured:", problems)
    return tuple(figures)


def _problem(kind: str, rate: str | None) -> str:
    if kind in AT_A_RATE:
        return "" if rate is not None and _is_share(rate) else f"expected a rate from 0 to 1, as in {kind}=0.001"
    if kind not in FLIPS:
        try:
            metric_called(kind)
        except InputError:
            return f"expected {', '.join((*(f'{name}=RATE' for name in AT_A_RATE), *FLIPS, *known()))}"
    return "" if rate is None else f"{kind} takes no rate"


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
