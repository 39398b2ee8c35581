"""Bundles in, a verdict out. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_tests.answers.embeddings import save_embeddings
from device_tests.checks.gates import Gates
from device_tests.evidence.approximate import ApproximateGallery
from device_tests.evidence.evidence import OwnEvidence
from device_tests.evidence.origin import signatures, verified_files
from device_tests.ladder.baseline import compare, read_baseline
from device_tests.ladder.evidence_jobs import findings_of, photo_jobs, pixels_of
from device_tests.ladder.opening import open_bundles
from device_tests.ladder.sample import told
from device_tests.ladder.verification import Verification
from device_tests.resizing.cost import ResizerCost, resizer_costs
from device_tests.targets.registry import target as target_called
from device_tests.verdict.policy import Policy
from device_tests.verdict.verdict import Verdict
from export.bundle.reading import Bundle
from hetero.errors import InputError
from hetero.files import write_json
from hetero.space import EmbeddingSpace


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
    approximate: ApproximateGallery | None = None,
) -> Verdict:
    """Run every bundle on every target and climb the ladder.

    Writes ``verdict.json`` (a list of rows), ``summary.json``, ``summary.md``, ``junit.xml``, ``resizers.json`` and
    ``embeddings/`` below ``out``.

    Args:
        bundle_paths: Bundle directories, with different names in their manifests.
        targets: For instance ``["desktop", "phone-arm64"]``.
        out: The directory to write.
        gates: Limits, either the same everywhere or a policy.
        gallery: The space of the gallery that the queries will meet; checked against each bundle's.
        baseline: An earlier ``verdict.json``: a change for the worse by more than chance fails.
        again: True to run also jobs whose answers are kept from an earlier verification of the same files and targets.
        queries: Most query images that emulated targets embed, evenly spread; None for all.
        evidence: A gallery and photos of the user's own, an additional rung.
        approximate: A gallery store that the queries search, too: a further gate of the rung retrieval.

    Raises:
        InputError: For wrong arguments, including photos that cannot be read, before anything runs.
        IntegrityError: If a bundle is damaged, its signature does not match, or none of the policy's trusted keys
            signed it.
        SpaceMismatchError: If a bundle's vectors do not belong in the gallery.
    """
    policy = gates if isinstance(gates, Policy) else Policy(gates or Gates())
    if baseline is not None:
        read_baseline(baseline)  # a mistake is told before anything runs
    bundles = open_bundles(bundle_paths, gallery)
    if approximate is not None:
        for bundle in bundles:
            approximate.require_fits(bundle.space, bundle.manifest.name)
    signed = signatures(bundles, policy.trusted_keys)
    files = {bundle.manifest.name: verified_files(bundle) for bundle in bundles}
    if not targets:
        raise InputError("expected at least one target, got none; see `hetero device list`")
    machines = [target_called(name) for name in dict.fromkeys(targets)]
    pixels = {} if evidence is None else pixels_of(evidence, bundles)
    verification = Verification(bundles, machines, policy, queries, approximate)
    own_jobs = [] if evidence is None else photo_jobs(evidence, verification.jobs, pixels, queries)
    of_photos = verification.run(own_jobs, again=again)
    for job in verification.jobs:
        save_embeddings(out, job.bundle, job.target.name, job.entry, verification.answer(job))
    proved = None if evidence is None else findings_of(evidence, own_jobs, of_photos, policy)
    rows = verification.rows(proved)
    write_json(out / "resizers.json", [vars(cost) for bundle in bundles for cost in _resizers(bundle, again=again)])
    moves = compare(rows, baseline, out, verification.bundles) if baseline is not None else []
    about = _about(verification, signed, files) | {"moves": [vars(move) for move in moves]}
    about |= {"evidence": None if evidence is None else evidence.about}
    worse = tuple(
        f"{' '.join(move.where)}: {move.what} was {move.before}, is {move.now}; {move.note}"
        for move in moves
        if move.regression
    )
    verdict = Verdict(tuple(rows), about, worse, verification.students())
    verdict.save(out)
    return verdict


def _resizers(bundle: Bundle, *, again: bool) -> list[ResizerCost]:
    """Return the cost of other resizers; nothing if this machine cannot run the bundle's models."""
    desktop = target_called("desktop")
    try:
        desktop.set_up()
    except InputError:
        return []
    try:
        return resizer_costs(bundle, desktop, again=again)
    finally:
        desktop.close()


def _about(
    verification: Verification, signed: Mapping[str, Mapping[str, str]], files: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    policy, (_, described) = verification.policy, verification.set_up
    targets = {name: dict(about) for name, about in described.items()}
    for (name, target), asked in verification.asked.items():
        if sample := told(verification.bundles[name], asked):
            targets[target][f"queries of {name}"] = sample
    return {
        "targets": targets,
        "gates": dataclasses.asdict(policy.gates),
        "gates_of_student": dataclasses.asdict(policy.student),
        "gates_of_evidence": dataclasses.asdict(policy.evidence),
        "gates_of_targets": {name: dataclasses.asdict(gates) for name, gates in policy.targets.items()},
        "bundles": {
            name: {
                "space_id": bundle.space.space_id,
                "space": f"{bundle.space.name} {bundle.space.version}",
                "signature": signed[name],
                "files": files[name],
            }
            for name, bundle in verification.bundles.items()
        },
    }
