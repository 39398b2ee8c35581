"""Bundles in, a verdict out. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from device_tests.checks.finding import RUNGS, Finding
from device_tests.embeddings import save_embeddings
from device_tests.gates import Gates
from device_tests.ladder import NO_RUNTIME, RUNTIMES, check_model, run_model
from device_tests.targets.registry import target as target_called
from device_tests.targets.target import Returned, Target
from device_tests.verdict import Row, Verdict
from export.bundle import Bundle, read_bundle
from export.manifest import ModelEntry
from hetero.errors import InputError
from hetero.space import EmbeddingSpace

__all__ = ["Gates", "Verdict", "verify"]


@dataclass(frozen=True)
class _Job:
    """One exported model of a bundle, to be run on one target."""

    bundle: Bundle
    entry: ModelEntry
    target: Target


def verify(
    bundle_paths: Sequence[Path],
    targets: Sequence[str],
    out: Path,
    gates: Gates | None = None,
    gallery: EmbeddingSpace | None = None,
) -> Verdict:
    """Run every bundle on every target and climb the ladder.

    Writes ``verdict.json`` (a list of rows), ``summary.json``, ``junit.xml`` and ``embeddings/`` below ``out``.

    Args:
        bundle_paths: Bundle directories, with different names in their manifests.
        targets: For instance ``["desktop", "phone-arm64"]``.
        out: A directory.
        gates: Limits.
        gallery: The space of the gallery that the queries will meet; checked against each bundle's.

    Raises:
        InputError: For wrong arguments, before anything runs.
        IntegrityError: When a bundle is damaged.
        SpaceMismatchError: When a bundle's vectors do not belong in the gallery.
    """
    gates = gates or Gates()
    bundles = open_bundles(bundle_paths, gallery)
    if not targets:
        raise InputError("expected at least one target, got none; see `hetero device list`")
    machines = [target_called(name) for name in dict.fromkeys(targets)]
    rows: dict[tuple[str, str], list[Row]] = {}
    described: dict[str, Mapping[str, str]] = {}
    for machine in machines:
        try:
            machine.set_up()
            described[machine.name] = machine.describe()
        except InputError as error:
            described[machine.name] = {"not available": str(error)}
            for bundle in bundles:
                rows[bundle.manifest.name, machine.name] = _unavailable(bundle, machine.name, str(error), gates)
            continue
        for bundle, found in zip(bundles, _run_target(bundles, machine, out, gates), strict=True):
            rows[bundle.manifest.name, machine.name] = found
    ordered = [row for bundle in bundles for machine in machines for row in rows[bundle.manifest.name, machine.name]]
    verdict = Verdict(tuple(ordered), _about(bundles, described, gates))
    verdict.save(out)
    return verdict


def open_bundles(paths: Sequence[Path], gallery: EmbeddingSpace | None = None) -> list[Bundle]:
    """Read bundles and check that they can be verified together.

    Raises:
        InputError: For none, or two of one name.
        IntegrityError: When one is damaged.
        SpaceMismatchError: When a bundle's vectors do not belong in the gallery.
    """
    if not paths:
        raise InputError("expected at least one bundle, got none; make one with `hetero export`")
    bundles = [read_bundle(path) for path in paths]
    names = [bundle.manifest.name for bundle in bundles]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"expected bundles of different names, got two of {', '.join(twice)}; verify them one by one")
    for bundle in bundles:
        if gallery is not None:
            gallery.require_same(bundle.space, this="the gallery", that=f"the bundle {bundle.manifest.name}")
    return bundles


def load_gallery_space(path: Path) -> EmbeddingSpace:
    """The space of a gallery directory, or of a ``space.json``.

    Raises:
        InputError: When there is none.
    """
    return EmbeddingSpace.load(path / "space.json" if path.is_dir() else path)


def _run_target(bundles: Sequence[Bundle], target: Target, out: Path, gates: Gates) -> list[list[Row]]:
    """The rows of each bundle on one target."""
    jobs = [
        _Job(bundle, entry, target)
        for bundle in bundles
        for entry in bundle.manifest.models
        if entry.format in RUNTIMES
    ]
    total = sum(len(job.bundle.goldens.golden_images) + len(job.bundle.goldens.query_rows) for job in jobs)
    with (
        tqdm(total=total, unit="image", desc=f"verify on {target.name}") as bar,
        ThreadPoolExecutor(target.parallel) as pool,
    ):
        answers = list(pool.map(lambda job: run_model(job.bundle, job.entry, job.target, bar.update), jobs))
    answered = {id(job.entry): answer for job, answer in zip(jobs, answers, strict=True)}
    for job in jobs:
        save_embeddings(out, job.bundle, target.name, job.entry, answered[id(job.entry)])
    return [_rows(bundle, target.name, answered, gates) for bundle in bundles]


def _rows(bundle: Bundle, target: str, answered: Mapping[int, Returned], gates: Gates) -> list[Row]:
    found: list[Row] = []
    for entry in bundle.manifest.models:
        asked = _asked(entry.format, gates)
        if entry.format in RUNTIMES:
            findings = check_model(bundle, entry, answered[id(entry)], gates)
        else:
            findings = [Finding(rung, "not verified", NO_RUNTIME[entry.format]) for rung in RUNGS]
        found += [
            Row.of(bundle.manifest.name, target, entry.format, entry.precision, finding, asked=asked)
            for finding in findings
        ]
    return found + _missing(bundle, target, gates)


def _unavailable(bundle: Bundle, target: str, reason: str, gates: Gates) -> list[Row]:
    rows = [
        Row(bundle.manifest.name, target, entry.format, entry.precision, rung, "not verified", reason, asked=asked)
        for entry in bundle.manifest.models
        for asked in [_asked(entry.format, gates)]
        for rung in RUNGS
    ]
    return rows + _missing(bundle, target, gates)


def _missing(bundle: Bundle, target: str, gates: Gates) -> list[Row]:
    """Rows for formats that were required and are not in the bundle."""
    absent = [name for name in gates.require if name not in {entry.format for entry in bundle.manifest.models}]
    return [
        Row(bundle.manifest.name, target, name, "", rung, "not verified", f"the bundle holds no {name} file")
        for name in absent
        for rung in RUNGS
    ]


def _asked(format: str, gates: Gates) -> bool:
    return format in RUNTIMES or format in gates.require


def _about(bundles: Sequence[Bundle], described: Mapping[str, Mapping[str, str]], gates: Gates) -> dict[str, Any]:
    return {
        "targets": {name: dict(about) for name, about in described.items()},
        "gates": dataclasses.asdict(gates),
        "bundles": {
            bundle.manifest.name: {
                "space_id": bundle.space.space_id,
                "space": f"{bundle.space.name} {bundle.space.version}",
            }
            for bundle in bundles
        },
    }
