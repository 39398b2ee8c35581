"""Jobs that embed a release manager's photos, for every model and target that verifies a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from device_tests.answers import kept
from device_tests.checks import evidence as rung
from device_tests.checks.finding import Finding
from device_tests.evidence.evidence import OwnEvidence
from device_tests.ladder.climb import ask
from device_tests.ladder.running import Job, Work, run_once
from device_tests.targets.target import Request, Returned
from device_tests.verdict.policy import Policy
from export.bundle.goldens import spread_rows
from export.bundle.reading import Bundle
from export.kinds.registry import names
from hetero.files import digest, sha256_bytes


@dataclass(frozen=True)
class PhotoJob(Work):
    """One exported model on one target, with photos.

    Attributes:
        pixels: uint8 [k, h, w, 3], prepared by the bundle's contract.
        rows: int64 [k], the photos' rows in the evidence.
    """

    pixels: UInt8[np.ndarray, "k h w 3"] = field(repr=False)
    rows: Int64[np.ndarray, " k"] = field(repr=False)

    @property
    def images(self) -> int:
        """Number of images to embed."""
        return len(self.pixels)

    @property
    def name(self) -> str:
        """Name for people: format, precision and target."""
        return f"{self.entry.format} {self.entry.precision} on {self.target.name}"

    def run(self, advance: Callable[[int], object] = int, *, again: bool = False) -> Returned:
        """Run it; see :meth:`Work.run`."""
        key = digest([kept.key(self.bundle, self.entry, self.target), sha256_bytes(self.pixels.tobytes())])
        asked = Request(
            name=f"{self.bundle.manifest.name} {self.entry.format} {self.entry.precision}, your photos",
            runtime=self.target.runtimes[self.entry.format],
            model=self.bundle.file(self.entry),
            images=self.pixels,
            precision=self.entry.precision,
        )
        return run_once(key, self.images, lambda: ask(self.bundle, self.target, asked, advance), advance, again=again)


def pixels_of(evidence: OwnEvidence, bundles: Sequence[Bundle]) -> dict[str, UInt8[np.ndarray, "q h w 3"]]:
    """Return the photos as each bundle's contract prepares them, by its name; equal contracts share them.

    Raises:
        SpaceMismatchError: If a bundle's vectors do not belong in the gallery.
        InputError: If photos cannot be read, or are too many.
    """
    for bundle in bundles:
        evidence.require_fits(bundle)
    prepared: dict[str, UInt8[np.ndarray, "q h w 3"]] = {}
    for bundle in bundles:
        if (decoding := bundle.preprocessing.decoding) not in prepared:
            prepared[decoding] = evidence.images(bundle.preprocessing)
    return {bundle.manifest.name: prepared[bundle.preprocessing.decoding] for bundle in bundles}


def photo_jobs(
    evidence: OwnEvidence, jobs: Sequence[Job], pixels: Mapping[str, UInt8[np.ndarray, "q h w 3"]], sample: int | None
) -> list[PhotoJob]:
    """Return the jobs that embed the photos with every model that is verified.

    Args:
        evidence: The photos and the gallery.
        jobs: The jobs of the verification.
        pixels: uint8 [q, h, w, 3], the photos as each bundle's contract prepares them, by its name.
        sample: Most photos that emulated targets embed, evenly spread; None for all.
    """
    every = np.arange(len(evidence))
    some = every if sample is None else spread_rows(len(evidence), sample)
    return [
        PhotoJob(job.bundle, job.entry, job.target, pixels[job.bundle.manifest.name][rows], rows)
        for job in jobs
        for rows in [some if job.target.emulated else every]
    ]


def findings_of(
    evidence: OwnEvidence, jobs: Sequence[PhotoJob], answers: Sequence[Returned], policy: Policy
) -> dict[tuple[int, str], Finding]:
    """Return the finding of each job, by the identity of its manifest's entry and its target's name.

    All models of a bundle are compared with one of them: float32 before others, the first format before others, a real
    processor before an emulated one; the first with a sound answer.
    """
    reference: dict[str, int] = {}
    for place in sorted(range(len(jobs)), key=lambda place: _rank(jobs[place])):
        if rung.sound(answers[place], evidence, jobs[place].rows) is not None:
            reference.setdefault(jobs[place].bundle.manifest.name, place)
    findings: dict[tuple[int, str], Finding] = {}
    for place, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
        reference_place = reference.get(job.bundle.manifest.name, place)
        before = (
            None
            if reference_place == place
            else rung.sound(answers[reference_place], evidence, jobs[reference_place].rows)
        )
        reference_model = (
            None if before is None else rung.Reference(before, jobs[reference_place].rows, jobs[reference_place].name)
        )
        gates = policy.gates_of(job.target.name)
        finding = rung.check(evidence, answer, job.rows, reference_model, gates, policy.evidence, policy.student.share)
        findings[id(job.entry), job.target.name] = finding
    return findings


def _rank(job: PhotoJob) -> tuple[bool, bool, bool]:
    return job.entry.precision != "fp32", job.entry.format != names()[0], job.target.emulated
