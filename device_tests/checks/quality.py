"""Is the student good enough for the cloud's gallery? A question about the model, whatever file it ships in.

A useless student may be reproduced by every file to the last bit. What is good enough only a policy can say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from device_tests.checks.finding import Figure
from device_tests.checks.limit import queries_for_floor
from device_tests.checks.student_figures import StudentFigures
from export.bundle.goldens import Goldens
from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval

STUDENT = "student"
"""What exceptions of a policy call it, in place of a rung."""
# More queries than so many times those at hand are no advice.
_SENSIBLE = 100
# Of fewer right answers a bootstrap interval is too short to pass by.
_FEWEST = 30
# Of a query, to be found in one of two equally good galleries alone: rather in this or in that.
_EVEN = 0.5


@dataclass(frozen=True)
class QualityGates:
    """What a student must reach; nothing is judged without at least one of these.

    Attributes:
        share: Least share of the cloud's own cmc@1: the lower end of its 95 % interval must reach it.
        below_own: Most cmc@1 by which M(q, g), in the cloud's gallery, may lie below M(q, q), in a gallery of the
            student's own, before the whole interval says so; 0 holds the rule M(q, g) > M(q, q) to the letter.
        above_chance: Whether cmc@1 must be above that of a gallery in random order.
    """

    share: float | None = None
    below_own: float | None = None
    above_chance: bool = False

    def __post_init__(self) -> None:
        problems: list[str] = []
        if self.share is not None and not 0 < self.share < 1:
            problems.append(f"share: expected a number between 0 and 1, got {self.share}")
        if self.below_own is not None and not 0 <= self.below_own <= 1:
            problems.append(f"below_own: expected 0 to 1, got {self.below_own}")
        if problems:
            raise InputError("what the student must reach is not valid:", problems)

    @property
    def ask(self) -> bool:
        """True if anything is asked."""
        return self != QualityGates()


@dataclass(frozen=True)
class Quality:
    """The answer for one bundle's student.

    Attributes:
        bundle: The bundle's name.
        status: ``not judged`` without a policy that asks, and where the queries are too few to tell.
        reason: Why it is not a pass.
        figures: As of :meth:`StudentFigures.to_dict`; empty when nothing could be measured.
        asked: True if a policy asks: not judging it then has an exit code of its own.
        excused: Why the policy lets it be for now; empty when it does not.
    """

    bundle: str
    status: Literal["pass", "fail", "not judged"]
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])
    asked: bool = False
    excused: str = ""

    @property
    def place(self) -> str:
        """What it is about, for people."""
        return f"the student of {self.bundle}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable record."""
        return {**vars(self), "figures": dict(self.figures)}


def judge(bundle: str, goldens: Goldens, gates: QualityGates) -> Quality:
    """Measure a bundle's student, and hold it against the gates.

    Intervals of 95 % decide. A share falls short when its whole interval does, and is reached when its whole interval
    is; what lies between cannot be told. A student whose true share is the limit falls short once in forty at most,
    and passes once in twenty at most (bootstrap intervals of a few hundred right answers end a little too high).
    """
    try:
        measured = StudentFigures.measure(goldens)
    except InputError as error:
        return Quality(bundle, "not judged", str(error), asked=gates.ask)
    figures = measured.to_dict()
    if not gates.ask:
        return Quality(bundle, "not judged", "no policy says what is good enough", figures)
    answers = [answer for check in (_share, _own, _chance) if (answer := check(measured, gates))]
    for status in ("fail", "not judged"):
        if reasons := [reason for answer, reason in answers if answer == status]:
            return Quality(bundle, status, "; ".join(reasons), figures, asked=True)
    return Quality(bundle, "pass", "", figures, asked=True)


Problem = tuple[Literal["fail", "not judged"], str]
"""What it makes the answer, and why."""


def _share(measured: StudentFigures, gates: QualityGates) -> Problem | None:
    if gates.share is None:
        return None
    return share_problem(measured.share, gates.share, known=measured.found_by_cloud, queries=measured.queries)


def share_problem(share: Interval | None, limit: float, *, known: int, queries: int) -> Problem | None:
    """What is wrong with the share of the cloud's own cmc@1, or not known of it; None when it is shown to be reached.

    Args:
        share: With its interval; None when the cloud finds nothing.
        limit: The least.
        known: For how many queries the cloud's first hit is right.
        queries: How many there are.
    """
    if share is None:
        return "not judged", "the cloud's own queries find nothing right in its gallery"
    told = (
        f"cmc@1 in the cloud's gallery is {_percent(share.value)} of the cloud's own (95 %: {_percent(share.low)} to "
    )
    told += f"{_percent(share.high)}); at least {_percent(limit)} must be shown"
    # Of the queries that count, so few that luck alone may keep or lose them all.
    keeps = share.value >= limit
    least = max(_FEWEST, queries_for_floor(limit)) if keeps else queries_for_floor(1 - limit)
    if known < least:
        return "not judged", f"{told}: needs {math.ceil(queries * least / known)} queries"
    if share.low < limit <= share.high:
        return "not judged", f"{told}: {_needs(share, limit, queries)}"
    return None if keeps else ("fail", told)


def _own(measured: StudentFigures, gates: QualityGates) -> Problem | None:
    """Fails when contradicted: that the rule holds is seldom shown, for a student whose own gallery is good."""
    above, limit = measured.above_own, gates.below_own
    if limit is None or above.high >= -limit:
        return None
    allowed = f"; {limit:g} is allowed" if limit else ""
    told = f"M(q, g) > M(q, q) does not hold: cmc@1 is {measured.student.value:.4f} in the cloud's gallery and "
    told += f"{measured.own.value:.4f} in the student's own, {-above.value:.4f} less (95 %: {-above.high:.4f} to "
    told += f"{-above.low:.4f}){allowed}"
    if measured.queries < (least := queries_for_floor(_EVEN)):
        return "not judged", f"{told}: needs {least} queries"
    return "fail", told


def _chance(measured: StudentFigures, gates: QualityGates) -> Problem | None:
    above, least = measured.above_chance, queries_for_floor(measured.chance)
    if not gates.above_chance:
        return None
    told = f"cmc@1 is {measured.student.value:.4f}, and a gallery in random order gives {measured.chance:.4f}"
    if above.low < 0 and above.high <= 0:
        return "fail", told
    if measured.queries < least:
        return "not judged", f"{told}: needs {least} queries"
    return None if above.low > 0 else ("not judged", f"{told}: {_needs(above, 0.0, measured.queries)}")


def _needs(figure: Interval, limit: float, queries: int) -> str:
    """How many queries would tell: an interval narrows with their square root."""
    distance = abs(figure.value - limit)
    half = figure.value - figure.low if figure.value > limit else figure.high - figure.value
    if not distance or (half / distance) ** 2 > _SENSIBLE:
        return "too near for any number of queries to tell"
    return f"needs {max(queries + 1, math.ceil(queries * (half / distance) ** 2))} queries"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
