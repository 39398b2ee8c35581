"""Run one exported model on one target, and check the answer rung by rung."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from device_tests.answers.golden_files import golden_files
from device_tests.answers.handed import handed
from device_tests.answers.original_rows import original_rows
from device_tests.checks import carried, cost, loads, parity, preprocessing, retrieval, text
from device_tests.checks.finding import Finding, ladder_of
from device_tests.checks.gates import Gates
from device_tests.checks.subject import Subject
from device_tests.evidence.approximate import DEPTH, ApproximateGallery
from device_tests.ladder.identity import space_in_file
from device_tests.targets.target import CarriedGallery, Original, Request, Returned, Target
from export.bundle.manifest import GRAPH, ModelEntry
from export.bundle.reading import Bundle


def check_model(
    bundle: Bundle,
    entry: ModelEntry,
    returned: Returned,
    gates: Gates,
    approximate: ApproximateGallery | None = None,
) -> list[Finding]:
    """Return every rung's answer for one model; rungs above a failed load are not verified.

    Args:
        bundle: The bundle.
        entry: The model.
        returned: The target's answer.
        gates: Limits on the target.
        approximate: A gallery store that the queries search, too; None for none.
    """
    subject = Subject(
        precision=entry.precision,
        file_bytes=entry.size,
        macs=bundle.manifest.macs,
        parameters=bundle.manifest.parameters,
        unit_norm=bundle.space.unit_norm,
        goldens=bundle.goldens,
        returned=returned,
        preprocessing=bundle.preprocessing,
        space_id=bundle.space.space_id,
        space_in_file=space_in_file(entry.format, bundle.file(entry)),
        originals=tuple(original_rows(bundle)),
        golden_files=golden_files(bundle),
        tensors=(entry.input, entry.output),
        texts=bundle.manifest.texts,
        gallery=bundle.manifest.gallery,
    )
    load = loads.check(subject)
    if load.status != "pass":
        reason = "it does not load" if load.status == "fail" else load.reason
        rungs = ladder_of(bundle.manifest)
        return [load, *(Finding(rung, "not verified", reason) for rung in rungs[1:])]
    checks = [preprocessing.check, parity.check, partial(retrieval.check, approximate=approximate), cost.check]
    checks += [text.check] if bundle.manifest.texts else []
    checks += [carried.check] if bundle.manifest.gallery else []
    return [load, *(check(subject, gates) for check in checks)]


def run_model(bundle: Bundle, entry: ModelEntry, target: Target, advance: Callable[[int], object] = int) -> Returned:
    """Embed a bundle's golden and query images with one of its models, and decode its original and golden files.

    Args:
        bundle: The bundle.
        entry: A model with a format that the target has a runtime for.
        target: A target that is set up.
        advance: Called with the number of further images done.
    """
    return ask(bundle, target, request(bundle, entry, target), advance)


def ask(bundle: Bundle, target: Target, asked: Request, advance: Callable[[int], object] = int) -> Returned:
    """Pass a target the files that a request names, and run it.

    Args:
        bundle: The bundle.
        target: A target that is set up.
        asked: A request for one of the bundle's models.
        advance: Called with the number of further images done.
    """
    done = 0

    def progress(now: int, _total: int) -> None:
        nonlocal done
        advance(now - done)
        done = now

    with handed(asked, bundle) as copies:
        return target.run(copies, progress)


def request(bundle: Bundle, entry: ModelEntry, target: Target) -> Request:
    """Return the request to a target for one model of a bundle."""
    goldens = bundle.goldens
    first = len(goldens.golden_images)
    originals = [
        Original(bundle.originals[row], first + int(np.searchsorted(goldens.query_rows, row)))
        for row in original_rows(bundle)
    ]
    return Request(
        name=f"{bundle.manifest.name} {entry.format} {entry.precision}",
        runtime=target.runtimes[entry.format],
        model=bundle.file(entry),
        images=np.concatenate([goldens.golden_images, goldens.retrieval_images[goldens.query_rows]]),
        precision=entry.precision,
        originals=(*originals, *(Original(file.path) for file in golden_files(bundle))),
        preprocessing=bundle.preprocessing,
        gallery=_gallery(bundle, first),
    )


def _gallery(bundle: Bundle, first: int) -> CarriedGallery | None:
    """Return the gallery that a bundle carries, to be searched with the embeddings from a row on."""
    if (entry := bundle.manifest.gallery) is None:
        return None
    depth = min(DEPTH, entry.items)
    return CarriedGallery(bundle.path / GRAPH, entry.items, entry.connectivity, entry.effort, depth, first)
