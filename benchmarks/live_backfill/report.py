"""What the clients saw: how long they waited, and how often rightly answered."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.live_backfill.client import Seen
from benchmarks.live_backfill.trial import Trial

WINDOWS = 8


def report(trial: Trial) -> dict[str, Any]:
    """Return the figures of a trial."""
    quiet = {name: (begin, end) for name, begin, end in trial.phases if name != "filling"}
    busy = [(begin, end) for name, begin, end in trial.phases if name == "filling"]
    figures: dict[str, Any] = {**trial.outcome, "seconds of filling": round(sum(end - begin for begin, end in busy), 1)}
    seen = {role: Seen.read(trial.out / f"{role}.txt") for role in ("old", "new")}
    for role, pauses in (("old", ("before", "half-way")), ("new", ("before", "half-way", "after"))):
        one = seen[role]
        good = np.array([answer in ("0", "1") for answer in one.answers])
        still = {name: _within(one.when, quiet[name]) & good for name in pauses}
        filling = np.any([_within(one.when, span) for span in busy], axis=0) & good
        spans = {**{f"quiet {name}": chosen for name, chosen in still.items()}, "filling": filling}
        at_rest = np.any([*still.values()], axis=0)
        figures[f"{role} client"] = {
            "ms by the clock": {name: _times(one.lasted[chosen]) for name, chosen in spans.items()},
            "ms of its processor": {name: _times(one.processor[chosen]) for name, chosen in spans.items()},
            "p95 while filling, by p95 at rest": {
                "clock": _ratio(one.lasted[filling], one.lasted[at_rest]),
                "processor": _ratio(one.processor[filling], one.processor[at_rest]),
            },
            "queries": int(good.sum()),
            "errors": {name: one.answers.count(name) for name in sorted({*one.answers} - {"0", "1"})},
            "longest gap, s": round(_gap(one.when, good, quiet["before"][0], busy[-1][1]), 2),
        }
    figures["cmc@1 over time"] = _over_time(trial, seen, busy[0][0], busy[-1][1])
    figures["the gate"] = [line for line in trial.told.splitlines() if "ann_recall" in line or "swap" in line]
    return figures


def _over_time(trial: Trial, seen: dict[str, Seen], begin: float, end: float) -> list[dict[str, Any]]:
    """The share of right answers while the new share of the gallery grows, of both ways."""
    times, counts = (np.array(part, float) for part in zip(*trial.filled, strict=True))
    edges = np.linspace(0, 1, WINDOWS + 1)
    rows: list[dict[str, Any]] = []
    for low, high in pairwise(edges):
        row: dict[str, Any] = {"new vectors": f"{low:.0%} to {high:.0%}"}
        for way, role in (("live backfill", "new"), ("blue/green", "old")):
            when, answers = seen[role].when, seen[role].answers
            share = np.interp(when, times, counts / trial.size)
            chosen = _within(when, (begin, end)) & (share >= low) & (share <= high)
            row |= _right(way, [answers[index] for index in np.flatnonzero(chosen)])
        rows.append(row)
    swapped = [seen["new"].answers[index] for index in np.flatnonzero(seen["new"].when > end)]
    return [*rows, {"new vectors": "swapped", **_right("live backfill", swapped), **_right("blue/green", swapped)}]


def _right(way: str, answers: list[str]) -> dict[str, Any]:
    right = [answer == "1" for answer in answers if answer in ("0", "1")]
    return {way: round(float(np.mean(right)), 3) if right else None, f"{way}, queries": len(right)}


def _within(when: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    return (when >= span[0]) & (when <= span[1])


def _times(lasted: np.ndarray) -> dict[str, float]:
    return {f"p{level}": round(float(np.percentile(lasted, level)), 2) for level in (50, 95)} if len(lasted) else {}


def _ratio(busy: np.ndarray, still: np.ndarray) -> float:
    return round(float(np.percentile(busy, 95) / np.percentile(still, 95)), 2)


def _gap(when: np.ndarray, good: np.ndarray, begin: float, end: float) -> float:
    """The longest time without an answer."""
    answered = when[good & (when >= begin) & (when <= end)]
    return float(np.diff(answered).max()) if len(answered) > 1 else end - begin
