"""Rung 5: the cost of one embedding on this target."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from device_tests.checks.finding import Figure, Finding, Status, judged
from device_tests.checks.gates import Gates
from device_tests.checks.subject import Subject
from hetero.evaluation.limit import Gated, at_most, problems_of, unknown_of
from hetero.metrics.bootstrap import Interval

RUNG = "cost"
_NOT_COUNTED = {
    True: "not counted: this emulator cannot; phone-system:count can",
    False: "not counted: a real processor's time is measured instead",
}


def median_interval(values: Float64[np.ndarray, " n"]) -> Interval:
    """Return the median with its 95 % interval, from order statistics that bound it for any distribution."""
    count = len(values)
    if not count:
        return Interval(math.nan, math.nan, math.nan)
    ranked, half = np.sort(values), 0.98 * math.sqrt(count)
    low, high = max(0, math.floor(count / 2 - half)), min(count - 1, math.ceil(count / 2 + half))
    return Interval(float(np.median(values)), float(ranked[low]), float(ranked[high]))


def check(subject: Subject, gates: Gates) -> Finding:
    """Report latency of one image at a time with one thread, memory and size.

    Emulated latency says nothing about a phone's, nor does a reference executor's about an engine's: a gate on latency
    is then not verified instead of judged. The number of instructions, where the emulator counts them, does not depend
    on the emulating machine.
    """
    returned = subject.returned
    milliseconds = 1000 * returned.latency_seconds
    median = median_interval(milliseconds)
    counted = returned.counts_instructions
    latency_is = "emulated" if returned.emulated else "the reference executor's" if returned.certifies else "measured"
    latency_is = "a nanosecond an instruction" if counted else latency_is
    measured = latency_is == "measured"
    figures: dict[str, Figure] = {
        "latency_median_ms": median.value,
        "latency_median_low_ms": median.low,
        "latency_median_high_ms": median.high,
        "latency_p95_ms": float(np.percentile(milliseconds, 95)),
        "latency_is": latency_is,
        "instructions_median": round(1e9 * float(np.median(returned.latency_seconds))) if counted else None,
        "instructions_are": "counted by the emulator" if counted else _NOT_COUNTED[returned.emulated],
        "load_ms": 1000 * returned.load_seconds,
        "peak_memory_bytes": returned.peak_memory_bytes or None,
        "file_bytes": subject.file_bytes,
        "macs": subject.macs,
        "parameters": subject.parameters,
    }
    problems: list[str] = []
    if gates.file_bytes is not None and subject.file_bytes > gates.file_bytes:
        problems.append(f"the file takes {subject.file_bytes} bytes; allowed are {gates.file_bytes}")
    unknown: list[str] = []
    if gates.latency_ms is not None and measured:
        text = (
            f"the median latency is {median.value:.3g} ms [{median.low:.3g}, {median.high:.3g}]; "
            f"allowed is {gates.latency_ms:g} ms"
        )
        judgement = at_most(median, gates.latency_ms, queries=len(milliseconds))
        gated = [Gated(median, judgement, text, unit="images")]
        problems, unknown = [*problems, *problems_of(gated)], unknown_of(gated)
    finding = judged(RUNG, problems, figures, unknown)
    if finding.status == "pass" and gates.latency_ms is not None and not measured:
        status: Status = "not verified"
        kind = "emulated latency" if returned.emulated else "a reference executor's latency"
        return Finding(RUNG, status, f"{kind} cannot be held against a limit", finding.figures)
    return finding
