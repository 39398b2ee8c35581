"""Judging a figure against its limit by its interval, so that chance neither fails nor passes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hetero.metrics.bootstrap import Interval

Answer = Literal["within", "beyond", "open"]
# Means of counts: a figure at its limit may exceed it by rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Judgement:
    """The position of an interval relative to a limit.

    Attributes:
        answer: ``beyond`` when the whole 95 % interval is beyond the limit (a true value at the limit is, by chance,
            one time in forty); ``within`` when the figure is within it and there were enough queries; else ``open``.
        needs: About how many queries would decide, where it is ``open``.
    """

    answer: Answer
    needs: int = 0


@dataclass(frozen=True)
class Gated:
    """The answer of one gate.

    Attributes:
        figure: The figure with its 95 % interval.
        judgement: The position of the interval.
        told: Figure and limit, as a sentence.
        unit: The unit of ``needs``.
    """

    figure: Interval
    judgement: Judgement
    told: str
    unit: str = "queries"


def problems_of(gates: Sequence[Gated]) -> list[str]:
    """Return the figures that are shown to be beyond their limits."""
    return [gate.told for gate in gates if gate.judgement.answer == "beyond"]


def unknown_of(gates: Sequence[Gated]) -> list[str]:
    """Return the figures with too few queries to decide, and how many would do."""
    return [
        f"needs {gate.judgement.needs} {gate.unit}: {gate.told}" for gate in gates if gate.judgement.answer == "open"
    ]


def shown(figure: Interval) -> str:
    """Format a figure and its interval for people."""
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def at_most(figure: Interval, limit: float, *, queries: int, least: int = 1) -> Judgement:
    """Judge a figure that may not exceed a limit.

    Args:
        figure: The figure with its 95 % interval.
        limit: The largest value allowed.
        queries: Number of queries measured.
        least: Least number of queries for a pass, whatever the result.
    """
    if figure.low > limit + _ROUNDING:
        return Judgement("beyond")
    if (excess := figure.value - limit) > _ROUNDING:
        # An interval narrows with the square root of the queries; its longer side stands for both.
        half = max(figure.value - figure.low, figure.high - figure.value)
        needs = math.ceil(queries * (half / excess) ** 2)
        return Judgement("open", max(needs, least, queries + 1))
    return Judgement("within") if queries >= least else Judgement("open", least)


def at_least(figure: Interval, limit: float, *, queries: int, least: int = 1) -> Judgement:
    """Judge a figure that may not fall below a limit; see :func:`at_most`."""
    return at_most(Interval(-figure.value, -figure.high, -figure.low), -limit, queries=queries, least=least)


def queries_for_loss(limit: float, *, queries: int, weight: float) -> int:
    """Return the number of queries from which a single lost one is within a limit.

    Args:
        limit: Largest loss of a mean over queries.
        queries: Number of queries measured.
        weight: Weight of the query that counts most in the mean: ``1 / queries`` where all count the same.
    """
    return math.ceil(queries * weight / limit - _ROUNDING) if limit else queries


def queries_for_floor(floor: float, *, level: float = 0.95) -> int:
    """Return the least number of queries that, all answered right, show a share of right answers above a floor."""
    return math.ceil(math.log((1 - level) / 2) / math.log(floor)) if 0 < floor < 1 else 1
