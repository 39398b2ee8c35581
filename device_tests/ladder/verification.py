"""Bundles in, a verdict out. Imports no torch."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_tests.answers.embeddings import save_embeddings
from device_tests.checks.finding import EVIDENCE, RUNGS, Finding
from device_tests.checks.gates import Gates
from device_tests.checks.quality import STUDENT, Quality, judge
from device_tests.evidence.evidence import OwnEvidence
from device_tests.evidence.origin import signatures, verified_files
from device_tests.ladder.baseline import compare
from device_tests.ladder.climb import check_model
from device_tests.ladder.evidence_jobs import findings_of, photo_jobs, pixels_of
from device_tests.ladder.running import jobs_of, run_jobs, set_up
from device_tests.ladder.sample import asked_of, told
from device_tests.ladder.scope import missing, no_runtime, without_runtime
from device_tests.resizing.cost import ResizerCost, resizer_costs
from device_tests.targets.registry import target as target_called
from device_tests.targets.target import Returned, Target
from device_tests.verdict.policy import ANY, Policy, policy_called
from device_tests.verdict.verdict import Row, Verdict
from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError
from hetero.files import write_json
from hetero.space import EmbeddingSpace
from hetero.storage.directories import steadily

__all__ = ["Gates", "Policy", "Verdict", "policy_called", "verify"]


def verify(
    bundle_paths: Sequence[Path],
    targets: Sequence[str],
    out: Path,
    gates: Gates | Policy | None = None,
    gallery: EmbeddingSpace | None = None,
    *,
    baseline: Path | None = None,
    again: bool = False,
    queries: int | None = None,
    evidence: OwnEvidence | None = None,
) -> Verdict:
    """Run every bundle on every target and climb the ladder.

    Writes ``verdict.json`` (a list of rows), ``summary.json``, ``summary.md``, ``junit.xml``, ``resizers.json`` and
    ``embeddings/`` below ``out``.

    Args:
        bundle_paths: Bundle directories, with different names in their manifests.
        targets: For instance ``["desktop", "phone-arm64"]``.
        out: A directory.
        gates: Limits, the same everywhere or a policy.
        gallery: The space of the gallery that the queries will meet; checked against each bundle's.
        baseline: An earlier ``verdict.json``: what got worse than it by more than chance fails.
        again: Run also what is kept from an earlier verification of the same files on the same targets.
        queries: Most query images that emulated targets embed, evenly spread; None for all.
        evidence: A gallery and photos of one's own, a further rung.

    Raises:
        InputError: For wrong arguments, photos that cannot be read among them, before anything runs.
        IntegrityError: When a bundle is damaged, its signature does not fit it, or none of the policy's trusted keys
            signed it.
        SpaceMismatchError: When a bundle's vectors do not belong in the gallery.
    """
    policy = gates if isinstance(gates, Policy) else Policy(gates or Gates())
    bundles = open_bundles(bundle_paths, gallery)
    signed = signatures(bundles, policy.trusted_keys)
    files = {bundle.manifest.name: verified_files(bundle) for bundle in bundles}
    if not targets:
        raise InputError("expected at least one target, got none; see `hetero device list`")
    machines = [target_called(name) for name in dict.fromkeys(targets)]
    pixels = {} if evidence is None else pixels_of(evidence, bundles)
    asked_about = {
        (bundle.manifest.name, machine.name): asked_of(bundle, machine, queries)
        for bundle in bundles
        for machine in machines
    }
    reasons, described = set_up(machines)
    jobs = [
        job
        for bundle in bundles
        for machine in machines
        if not reasons.get(machine.name)
        for job in jobs_of(asked_about[bundle.manifest.name, machine.name], machine)
    ]
    own_jobs = [] if evidence is None else photo_jobs(evidence, jobs, pixels, queries)
    try:
        every = run_jobs([*jobs, *own_jobs], again=again)
    finally:
        for machine in machines:
            machine.close()
    answers, of_photos = every[: len(jobs)], every[len(jobs) :]
    for job, answer in zip(jobs, answers, strict=True):
        save_embeddings(out, job.bundle, job.target.name, job.entry, answer)
    answered = {(id(job.entry), job.target.name): answer for job, answer in zip(jobs, answers, strict=True)}
    proved = None if evidence is None else findings_of(evidence, own_jobs, of_photos, policy)
    rows: list[Row] = []
    for bundle in bundles:
        for machine in machines:
            asked_bundle = asked_about[bundle.manifest.name, machine.name]
            rows += _rows(asked_bundle, machine, machines, answered, reasons.get(machine.name, ""), policy, proved)
            if sample := told(bundle, asked_bundle):
                described[machine.name] = {**described[machine.name], f"queries of {bundle.manifest.name}": sample}
    write_json(out / "resizers.json", [vars(cost) for bundle in bundles for cost in _resizers(bundle, again=again)])
    moves = compare(rows, baseline, out, {one.manifest.name: one for one in bundles}) if baseline is not None else []
    about = _about(bundles, described, policy, signed, files) | {"moves": [vars(move) for move in moves]}
    about |= {"evidence": None if evidence is None else evidence.about}
    worse = tuple(
        f"{' '.join(move.where)}: {move.what} was {move.before}, is {move.now}; {move.note}"
        for move in moves
        if move.regression
    )
    students = tuple(judged_student(bundle, policy) for bundle in bundles)
    verdict = Verdict(tuple(rows), about, worse, students)
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
    if other := [str(path) for path in paths if not _is_utf8(path)]:
        raise InputError("expected bundles at paths of UTF-8 (and a locale of it, as LC_ALL=C.UTF-8):", other)
    bundles = [read_bundle(path) for path in paths]
    names = [bundle.manifest.name for bundle in bundles]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"expected bundles of different names, got two of {', '.join(twice)}; verify them one by one")
    for bundle in bundles:
        if gallery is not None:
            gallery.require_same(bundle.space, this="the gallery", that=f"the bundle {bundle.manifest.name}")
    return bundles


def _is_utf8(path: Path) -> bool:
    """Whether a path has the bytes that runtimes look for: any other would seem to be a file that does not load."""
    text = str(path.resolve())
    try:
        return text.encode() == os.fsencode(text)
    except UnicodeEncodeError:
        return False


def load_gallery_space(path: Path) -> EmbeddingSpace:
    """The space of a gallery directory, or of a ``space.json``.

    Raises:
        InputError: When there is none.
    """
    return steadily(path, lambda place: EmbeddingSpace.load(place / "space.json" if place.is_dir() else place))


def _rows(
    bundle: Bundle,
    machine: Target,
    machines: Sequence[Target],
    answered: Mapping[tuple[int, str], Returned],
    unavailable: str,
    policy: Policy,
    proved: Mapping[tuple[int, str], Finding] | None,
) -> list[Row]:
    """The rows of one bundle on one target."""
    name, found, gates = bundle.manifest.name, list[Row](), policy.gates_of(machine.name)
    rungs = RUNGS if proved is None else (*RUNGS, EVIDENCE)
    for entry in bundle.manifest.models:
        if reason := no_runtime(machine, entry.format):
            status = without_runtime(entry.format, machines, gates)
            findings = [Finding(rung, status, reason) for rung in rungs]
        elif unavailable:
            findings = [Finding(rung, "not verified", unavailable) for rung in rungs]
        else:
            key = id(entry), machine.name
            findings = check_model(bundle, entry, answered[key], gates)
            findings += [proved[key]] if proved is not None else []
        for finding in findings:
            row = Row.of(name, machine.name, entry.format, entry.precision, finding)
            found.append(excused(row, policy))
    for format in missing(bundle, gates):
        told = f"the bundle holds no {format} file"
        found += [Row(name, machine.name, format, "", rung, "not verified", told) for rung in rungs]
    return found


def judged_student(bundle: Bundle, policy: Policy) -> Quality:
    """The student of one bundle, by all of its queries, with the policy's exception if there is one."""
    found = judge(bundle.manifest.name, bundle.goldens, policy.student)
    if found.status == "pass" or not found.asked:
        return found
    # An exception for some target or file says nothing about the student.
    key, today = (found.bundle, ANY, ANY, ANY, STUDENT), datetime.date.today()
    expired = policy.expired(key, today)
    reason = f"{found.reason}; {expired}" if expired else found.reason
    return dataclasses.replace(found, excused=policy.excuse(key, today), reason=reason)


def _resizers(bundle: Bundle, *, again: bool) -> list[ResizerCost]:
    """What other resizers would cost; nothing where this machine cannot run the bundle's models."""
    desktop = target_called("desktop")
    try:
        desktop.set_up()
    except InputError:
        return []
    try:
        return resizer_costs(bundle, desktop, again=again)
    finally:
        desktop.close()


def excused(row: Row, policy: Policy) -> Row:
    """The row, with the policy's exception for it if there is one."""
    if row.status in ("pass", "n/a"):
        return row
    key, today = (row.bundle, row.target, row.format, row.precision, row.rung), datetime.date.today()
    expired = policy.expired(key, today)
    reason = f"{row.reason}; {expired}" if expired else row.reason
    return dataclasses.replace(row, excused=policy.excuse(key, today), reason=reason)


def _about(
    bundles: Sequence[Bundle],
    described: Mapping[str, Mapping[str, str]],
    policy: Policy,
    signed: Mapping[str, Mapping[str, str]],
    files: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    return {
        "targets": {name: dict(about) for name, about in described.items()},
        "gates": dataclasses.asdict(policy.gates),
        "gates_of_student": dataclasses.asdict(policy.student),
        "gates_of_evidence": dataclasses.asdict(policy.evidence),
        "gates_of_targets": {name: dataclasses.asdict(gates) for name, gates in policy.targets.items()},
        "bundles": {
            bundle.manifest.name: {
                "space_id": bundle.space.space_id,
                "space": f"{bundle.space.name} {bundle.space.version}",
                "signature": signed[bundle.manifest.name],
                "files": files[bundle.manifest.name],
            }
            for bundle in bundles
        },
    }
