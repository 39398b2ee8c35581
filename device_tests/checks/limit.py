"""A figure against its limit, judged by its interval: what chance explains does not fail, luck does not pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hetero.metrics.bootstrap import Interval

Answer = Literal["within", "beyond", "open"]
# Means of counts: a figure on its limit may exceed it by rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Judgement:
    """What an interval says about a limit.

    Attributes:
        answer: ``beyond`` when the whole 95 % interval is beyond the limit (of what lies just on it, one in forty
            does by chance); ``within`` when the figure is within it and enough queries were asked; else ``open``.
        needs: About how many queries would tell, where it is ``open``.
    """

    answer: Answer
    needs: int = 0


@dataclass(frozen=True)
class Gated:
    """One gate's answer.

    Attributes:
        figure: With its 95 % interval.
        judgement: What follows from it.
        told: Figure and limit, for people.
        unit: What more of would tell.
    """

    figure: Interval
    judgement: Judgement
    told: str
    unit: str = "queries"


def problems_of(gates: Sequence[Gated]) -> list[str]:
    """What is shown to be beyond its limit."""
    return [gate.told for gate in gates if gate.judgement.answer == "beyond"]


def unknown_of(gates: Sequence[Gated]) -> list[str]:
    """What was measured on too little to tell, and how much would."""
    return [
        f"needs {gate.judgement.needs} {gate.unit}: {gate.told}" for gate in gates if gate.judgement.answer == "open"
    ]


def shown(figure: Interval) -> str:
    """A figure and its interval, for people."""
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def at_most(figure: Interval, limit: float, *, queries: int, least: int = 1) -> Judgement:
    """Judge a figure that may not exceed a limit.

    Args:
        figure: With its 95 % interval.
        limit: The largest value allowed.
        queries: How many were measured.
        least: Fewer queries than these do not pass, whatever came out.
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
    """How many queries are so many that a single lost one is within a limit.

    Args:
        limit: Largest loss of a mean over queries.
        queries: How many were measured.
        weight: Of the one that counts most in the mean: ``1 / queries`` where all count the same.
    """
    return math.ceil(queries * weight / limit - _ROUNDING) if limit else queries


def queries_for_floor(floor: float, *, level: float = 0.95) -> int:
    """How many queries it takes to show a share of right answers above a floor when all of them are right."""
    return math.ceil(math.log((1 - level) / 2) / math.log(floor)) if 0 < floor < 1 else 1
