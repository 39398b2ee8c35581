"""Rung 5: what does one embedding cost on this target?"""

from __future__ import annotations

import numpy as np

from device_tests.checks.finding import Figure, Finding, Status, judged
from device_tests.checks.subject import Subject
from device_tests.gates import Gates

RUNG = "cost"
_NOT_COUNTED = {
    True: "not counted: this emulator cannot; phone-system:count can",
    False: "not counted: a real processor's time is measured instead",
}


def check(subject: Subject, gates: Gates) -> Finding:
    """Latency of one image at a time with one thread, memory and size.

    Emulated latency says nothing about a phone's, nor does a reference executor's about an engine's: a gate on latency
    is then not verified instead of judged. What does not depend on the machine that emulates is the number of
    instructions, where the emulator counts them.
    """
    returned = subject.returned
    milliseconds = 1000 * returned.latency_seconds
    median = float(np.median(milliseconds))
    counted = returned.counts_instructions
    latency_is = "emulated" if returned.emulated else "the reference executor's" if returned.certifies else "measured"
    latency_is = "a nanosecond an instruction" if counted else latency_is
    measured = latency_is == "measured"
    figures: dict[str, Figure] = {
        "latency_median_ms": median,
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
    if gates.latency_ms is not None and measured and median > gates.latency_ms:
        problems.append(f"the median latency is {median:.3g} ms; allowed is {gates.latency_ms:g} ms")
    finding = judged(RUNG, problems, figures)
    if finding.status == "pass" and gates.latency_ms is not None and not measured:
        unknown: Status = "not verified"
        whose = "emulated latency" if returned.emulated else "a reference executor's latency"
        return Finding(RUNG, unknown, f"{whose} cannot be held against a limit", finding.figures)
    return finding
