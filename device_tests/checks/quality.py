"""Quality of the student in the cloud's gallery, a property of the model, whatever file it ships in.

A useless student may be reproduced by every file to the last bit. Only a policy can say what is good enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from device_tests.checks.finding import Figure
from device_tests.checks.student_figures import StudentFigures
from export.bundle.goldens import Goldens
from hetero.errors import InputError
from hetero.evaluation.limit import queries_for_floor
from hetero.metrics.bootstrap import Interval

STUDENT = "student"
"""The name that a policy's exceptions use, in place of a rung."""
# Advice to use more than this many times the present number of queries is no advice.
_SENSIBLE = 100
# With fewer right answers, a bootstrap interval is too short to pass by.
_FEWEST = 30
# Probability that a query found in only one of two equally good galleries is found in this one.
_EVEN = 0.5


@dataclass(frozen=True)
class QualityGates:
    """Requirements on a student; nothing is judged without at least one of these.

    Attributes:
        share: Least share of the cloud's own cmc@1: the lower end of its 95 % interval must reach it.
        below_own: Most cmc@1 by which M(q, g), in the cloud's gallery, may lie below M(q, q), in a gallery of the
            student's own, before the whole interval says so; 0 holds the rule M(q, g) > M(q, q) to the letter.
        above_chance: True if cmc@1 must be above that of a gallery in random order.
        gallery_share: Least share of the cloud's own cmc@1 that the cloud's queries must keep in a gallery that the
            student embeds; judged as ``share`` is.
        text_share: The same for text queries; not judged where the bundle has no golden texts.
    """

    share: float | None = None
    below_own: float | None = None
    above_chance: bool = False
    gallery_share: float | None = None
    text_share: float | None = None

    def __post_init__(self) -> None:
        problems: list[str] = []
        for name in ("share", "gallery_share", "text_share"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                problems.append(f"{name}: expected a number between 0 and 1, got {value}")
        if self.below_own is not None and not 0 <= self.below_own <= 1:
            problems.append(f"below_own: expected 0 to 1, got {self.below_own}")
        if problems:
            raise InputError("what the student must reach is not valid:", problems)

    @property
    def ask(self) -> bool:
        """True if anything is required."""
        return self != QualityGates()


@dataclass(frozen=True)
class Quality:
    """The answer for one bundle's student.

    Attributes:
        bundle: The bundle's name.
        status: ``not judged`` without a policy that requires anything, and with too few queries to decide.
        reason: The reason why it is not a pass.
        figures: As of :meth:`StudentFigures.to_dict`; empty when nothing could be measured.
        asked: True if a policy requires something: not judging it then has an exit code of its own.
        excused: The reason why the policy excuses it for now; empty if it does not.
    """

    bundle: str
    status: Literal["pass", "fail", "not judged"]
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])
    asked: bool = False
    excused: str = ""

    @property
    def place(self) -> str:
        """The place to display."""
        return f"the student of {self.bundle}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return {**vars(self), "figures": dict(self.figures)}


def judge(bundle: str, goldens: Goldens, gates: QualityGates) -> Quality:
    """Measure a bundle's student and compare it with the gates.

    Intervals of 95 % decide. A share falls short when its whole interval does, and is reached when its whole interval
    is; anything between is undecided. A student whose true share is the limit falls short once in forty at most, and
    passes once in twenty at most (bootstrap intervals of a few hundred right answers end a little too high).
    """
    try:
        measured = StudentFigures.measure(goldens)
    except InputError as error:
        return Quality(bundle, "not judged", str(error), asked=gates.ask)
    figures = measured.to_dict()
    if not gates.ask:
        return Quality(bundle, "not judged", "no policy says what is good enough", figures)
    checks = (_share, _as_gallery, _texts, _own, _chance)
    answers = [answer for check in checks if (answer := check(measured, gates))]
    for status in ("fail", "not judged"):
        if reasons := [reason for answer, reason in answers if answer == status]:
            return Quality(bundle, status, "; ".join(reasons), figures, asked=True)
    return Quality(bundle, "pass", "", figures, asked=True)


Problem = tuple[Literal["fail", "not judged"], str]
"""The status that a problem leads to, and the reason."""


def _share(student: StudentFigures, gates: QualityGates) -> Problem | None:
    if gates.share is None:
        return None
    return share_problem(student.share, gates.share, known=student.found_by_cloud, queries=student.queries)


def _as_gallery(student: StudentFigures, gates: QualityGates) -> Problem | None:
    limit, found = gates.gallery_share, student.as_gallery
    if limit is None:
        return None
    what = "cmc@1 of the cloud's queries in the student's gallery"
    return share_problem(found.share, limit, known=found.known, queries=found.queries, what=what)


def _texts(student: StudentFigures, gates: QualityGates) -> Problem | None:
    limit, found = gates.text_share, student.texts
    if limit is None:
        return None
    if found is None:
        return "not judged", "text_share: the bundle has no golden texts"
    what = "cmc@1 of text queries in the student's gallery"
    return share_problem(found.share, limit, known=found.known, queries=found.queries, what=what)


def share_problem(
    share: Interval | None,
    limit: float,
    *,
    known: int,
    queries: int,
    what: str = "cmc@1 in the cloud's gallery",
) -> Problem | None:
    """Return what is wrong with, or unknown about, the share of the cloud's cmc@1; None if it is reached.

    Args:
        share: The share with its interval; None when the cloud finds nothing.
        limit: The least share.
        known: Number of queries for which the cloud's first hit is right.
        queries: Number of queries.
        what: The figure, for people.
    """
    if share is None:
        return "not judged", "the cloud's own queries find nothing right in its gallery"
    text = f"{what} is {_percent(share.value)} of the cloud's own (95 %: {_percent(share.low)} to "
    text += f"{_percent(share.high)}); at least {_percent(limit)} must be shown"
    # So few of the counting queries that luck alone may keep or lose them all.
    keeps = share.value >= limit
    least = max(_FEWEST, queries_for_floor(limit)) if keeps else queries_for_floor(1 - limit)
    if known < least:
        return "not judged", f"{text}: needs {math.ceil(queries * least / known)} queries"
    if share.low < limit <= share.high:
        return "not judged", f"{text}: {_needs(share, limit, queries)}"
    return None if keeps else ("fail", text)


def _own(student: StudentFigures, gates: QualityGates) -> Problem | None:
    """Fail only if contradicted: the rule is seldom shown to hold for a student whose own gallery is good."""
    above, limit = student.above_own, gates.below_own
    if limit is None or above.high >= -limit:
        return None
    allowed = f"; {limit:g} is allowed" if limit else ""
    text = f"M(q, g) > M(q, q) does not hold: cmc@1 is {student.student.value:.4f} in the cloud's gallery and "
    text += f"{student.own.value:.4f} in the student's own, {-above.value:.4f} less (95 %: {-above.high:.4f} to "
    text += f"{-above.low:.4f}){allowed}"
    if student.queries < (least := queries_for_floor(_EVEN)):
        return "not judged", f"{text}: needs {least} queries"
    return "fail", text


def _chance(student: StudentFigures, gates: QualityGates) -> Problem | None:
    above, least = student.above_chance, queries_for_floor(student.chance)
    if not gates.above_chance:
        return None
    text = f"cmc@1 is {student.student.value:.4f}, and a gallery in random order gives {student.chance:.4f}"
    if above.low < 0 and above.high <= 0:
        return "fail", text
    if student.queries < least:
        return "not judged", f"{text}: needs {least} queries"
    return None if above.low > 0 else ("not judged", f"{text}: {_needs(above, 0.0, student.queries)}")


def _needs(figure: Interval, limit: float, queries: int) -> str:
    """Return the number of queries that would decide: an interval narrows with their square root."""
    distance = abs(figure.value - limit)
    half = figure.value - figure.low if figure.value > limit else figure.high - figure.value
    if not distance or (half / distance) ** 2 > _SENSIBLE:
        return "too near for any number of queries to tell"
    return f"needs {max(queries + 1, math.ceil(queries * (half / distance) ** 2))} queries"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
