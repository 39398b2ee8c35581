"""What linear and ordinary fine-tuning come to, over clouds and subsets; intervals resample queries.

A query's answers in all clouds and subsets stay together when queries are resampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import signed
from hetero.metrics import Interval, difference_interval, nfr_difference_interval, nfr_interval

Right = NDArray[np.bool_]
PAIRS = (
    ("linear, anchors", "fine-tuning, anchors"),
    ("linear", "fine-tuning"),
    ("linear, factors of the anchors", "linear, anchors"),
)
GIVEN = ("before", "objectives")


def table(found: Mapping[str, Any]) -> str:
    """Every row as Markdown, and the comparisons below."""
    lines = [
        "| method | line > noto | gain | NFR | openmoji > noto | as linear | network - linear | moved |",
        "|---|---|---|---|---|---|---|---|",
    ]
    settings = {name: here for name, here in found.items() if name.startswith("line/")}
    lines += [_row(name, settings) for name in _methods(settings)]
    lines += ["", *_pairs(settings), "", *_verdicts(found), "", *_objectives(settings)]
    return "\n".join(lines)


def right_of(settings: Mapping[str, Any], method: str, how: str, domain: str) -> Right:
    """Whether each query was answered right: bool [settings * queries]."""
    rows = [here["before"] if method == "before" else here[method][how] for here in settings.values()]
    return np.concatenate([np.array([letter == "1" for letter in row[domain]]) for row in rows])


def queries_of(settings: Mapping[str, Any]) -> NDArray[np.int64]:
    """Which query each is: int64 [settings * queries]."""
    return np.concatenate([np.arange(len(here["before"]["new"])) for here in settings.values()])


def _methods(settings: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for here in settings.values() for name in here if name not in GIVEN))


def _with(settings: Mapping[str, Any], *methods: str) -> dict[str, Any]:
    return {name: here for name, here in settings.items() if all(method in here for method in methods)}


def _row(method: str, settings: Mapping[str, Any]) -> str:
    here = _with(settings, method)
    clusters = queries_of(here)
    before, after = (
        {domain: right_of(here, name, "network", domain) for domain in ("new", "old")} for name in ("before", method)
    )
    gain = _difference(after["new"], before["new"], clusters)
    flips = nfr_interval(before["old"], after["old"], clusters=clusters)
    as_linear, apart = "", ""
    if all("linear" in one[method] for one in here.values()):
        linear = right_of(here, method, "linear", "new")
        as_linear, apart = f"{linear.mean():.3f}", signed(asdict(_difference(after["new"], linear, clusters)))
    moved = np.mean([one[method]["moved"] for one in here.values()])
    return (
        f"| {method} ({len(here)}) | {before['new'].mean():.3f} → {after['new'].mean():.3f} | {signed(asdict(gain))} "
        f"| {_plain(flips)} | {before['old'].mean():.3f} → {after['old'].mean():.3f} | {as_linear} | {apart} "
        f"| {moved:.3f} |"
    )


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for ours, theirs in PAIRS:
        here = _with(settings, ours, theirs)
        if not here:
            continue
        clusters = queries_of(here)
        old = right_of(here, "before", "", "old")
        flips = nfr_difference_interval(
            old, *(right_of(here, name, "network", "old") for name in (ours, theirs)), clusters=clusters
        )
        after, before = (right_of(here, name, "network", "new") for name in (ours, theirs))
        gain = _difference(after, before, clusters)
        lines.append(
            f"{ours} less {theirs} ({len(here)} settings): NFR {signed(asdict(flips))}, cmc@1 {signed(asdict(gain))}"
        )
    return lines


def _verdicts(found: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, here in found.items():
        for method in _methods({name: here}):
            if "refusals" in here[method]:
                before, after = (
                    {domain: right_of({name: here}, which, "network", domain) for domain in ("new", "old")}
                    for which in ("before", method)
                )
                flips = (before["old"] & ~after["old"]).mean()
                verdict = "; ".join(here[method]["refusals"]) or "kept"
                lines.append(
                    f"{name} {method}: ridge {here[method]['ridge']:g}, {before['new'].mean():.3f} → "
                    f"{after['new'].mean():.3f}, NFR {flips:.3f}: {verdict}"
                )
    return lines


def _objectives(settings: Mapping[str, Any]) -> list[str]:
    kept = [here["objectives"] for here in settings.values() if "objectives" in here]
    return [
        f"objective, {name}: "
        + ", ".join(f"{step}: {np.mean([one[name][step] for one in kept]):.4f}" for step in (0, 5, 10, 20))
        for name in (kept[0] if kept else ())
    ]


def _difference(after: Right, before: Right, clusters: NDArray[np.int64]) -> Interval:
    return difference_interval(after.astype(np.float64), before.astype(np.float64), clusters=clusters)


def _plain(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
