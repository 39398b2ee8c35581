"""Run one exported model on one target, and climb the rungs with what came back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from device_tests.checks import cost, loads, parity, retrieval
from device_tests.checks.finding import RUNGS, Finding
from device_tests.checks.subject import Subject
from device_tests.gates import Gates
from device_tests.targets.target import Request, Returned, Target
from export.bundle import Bundle
from export.manifest import ModelEntry

RUNTIMES = {"onnx": "onnxruntime", "litert": "litert"}
"""Which runtime runs a format, on every target so far."""

NO_RUNTIME = {"coreml": "Core ML runs on Apple's systems only, and no target here is one"}
"""Why a format cannot be verified."""


def check_model(bundle: Bundle, entry: ModelEntry, returned: Returned, gates: Gates) -> list[Finding]:
    """Every rung's answer for one model; rungs above a failed load are not verified."""
    subject = Subject(
        precision=entry.precision,
        file_bytes=entry.size,
        macs=bundle.manifest.macs,
        parameters=bundle.manifest.parameters,
        unit_norm=bundle.space.unit_norm,
        goldens=bundle.goldens,
        returned=returned,
    )
    loaded = loads.check(subject)
    if loaded.status != "pass":
        return [loaded, *(Finding(rung, "not verified", "it does not load") for rung in RUNGS[1:])]
    return [loaded, parity.check(subject, gates), retrieval.check(subject, gates), cost.check(subject, gates)]


def run_model(bundle: Bundle, entry: ModelEntry, target: Target, advance: Callable[[int], object] = int) -> Returned:
    """Embed a bundle's golden and query images with one of its models.

    Args:
        bundle: The bundle.
        entry: A model with a format that has a runtime.
        target: Set up.
        advance: Told how many more images are done.
    """
    goldens = bundle.goldens
    images = np.concatenate([goldens.golden_images, goldens.retrieval_images[goldens.query_rows]])
    name = f"{bundle.manifest.name} {entry.format} {entry.precision}"
    done = 0

    def progress(now: int, _total: int) -> None:
        nonlocal done
        advance(now - done)
        done = now

    return target.run(Request(name, RUNTIMES[entry.format], bundle.file(entry), images), progress)
