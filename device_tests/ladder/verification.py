"""A verification: bundles on targets, judged by a policy. Imports no torch."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from device_tests.checks.finding import EVIDENCE, Finding, ladder_of
from device_tests.checks.gates import Gates
from device_tests.checks.quality import STUDENT, Quality, judge
from device_tests.evidence.approximate import ApproximateGallery
from device_tests.ladder.climb import check_model
from device_tests.ladder.running import Job, Work, jobs_of, run_jobs, set_up
from device_tests.ladder.sample import asked_of
from device_tests.ladder.scope import missing, no_runtime, without_runtime
from device_tests.targets.target import Returned, Target
from device_tests.verdict.policy import ANY, Policy
from device_tests.verdict.verdict import Row
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle

Case = tuple[str, str, str, str, str]
"""A bundle, a target, a format, a precision and a rung; no precision where the bundle lacks a required format."""
Proved = Mapping[tuple[int, str], Finding]
"""Findings of a release manager's own evidence, by a model's entry (its ``id``) and a target."""

Answer = TypeVar("Answer", Row, Quality)


class Verification:
    """A verification: its cases (:meth:`cases`), their run (:meth:`run`) and answers (:meth:`rows`, :meth:`students`).

    Targets are set up, and models run, when an answer first needs them; :meth:`run` runs all models at once.

    Args:
        bundles: Bundles with different names in their manifests.
        targets: Targets, not yet set up.
        policy: Gates and exceptions.
        queries: Most query images that emulated targets embed, evenly spread; None for all.
        approximate: A gallery store that the queries search, too; None for none.
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        targets: Sequence[Target],
        policy: Policy,
        queries: int | None = None,
        approximate: ApproximateGallery | None = None,
    ) -> None:
        self._approximate = approximate
        self.bundles = {bundle.manifest.name: bundle for bundle in bundles}
        self.targets = {target.name: target for target in targets}
        self.policy = policy
        self.asked = {
            (name, target.name): asked_of(bundle, target, queries)
            for name, bundle in self.bundles.items()
            for target in targets
        }
        self._answers: dict[tuple[int, str], Returned] = {}
        self._rows: dict[tuple[str, str, str, str], list[Row]] = {}

    @cached_property
    def set_up(self) -> tuple[dict[str, str], dict[str, Mapping[str, str]]]:
        """Reasons why targets are unavailable, and descriptions of the others; both by name."""
        return set_up(list(self.targets.values()))

    @cached_property
    def jobs(self) -> list[Job]:
        """List every model on every available target that has a runtime for it."""
        unavailable, _ = self.set_up
        return [
            job
            for (_, target), bundle in self.asked.items()
            if not unavailable.get(target)
            for job in jobs_of(bundle, self.targets[target])
        ]

    def run(self, beside: Sequence[Work] = (), *, again: bool = False) -> list[Returned]:
        """Run all models, and other work, side by side; targets are closed at the end.

        Args:
            beside: Further work on the same targets.
            again: True to run also jobs whose answers are kept from an earlier verification.

        Returns:
            The answers of the further work.
        """
        try:
            returned = run_jobs([*self.jobs, *beside], again=again)
        finally:
            self.close()
        for job, answer in zip(self.jobs, returned[: len(self.jobs)], strict=True):
            self._answers[id(job.entry), job.target.name] = answer
        return returned[len(self.jobs) :]

    def answer(self, job: Job) -> Returned:
        """Return the answer of one of the jobs, which is run if it has not been."""
        key = id(job.entry), job.target.name
        if key not in self._answers:
            self._answers[key] = job.run()
        return self._answers[key]

    def cases(self) -> list[Case]:
        """List every rung of every model on every target, missing required formats included."""
        return [
            (bundle, target, format, precision, rung)
            for bundle, target in self.asked
            for format, precision, _ in self._models(bundle, target)
            for rung in ladder_of(self.bundles[bundle].manifest)
        ]

    def row(self, case: Case) -> Row:
        """Return the answer to one case."""
        bundle, target, format, precision, rung = case
        return next(row for row in self._model_rows(bundle, target, format, precision) if row.rung == rung)

    def rows(self, proved: Proved | None = None) -> list[Row]:
        """Return every answer.

        Args:
            proved: Findings of evidence; None if there is no evidence.
        """
        return [
            row
            for bundle, target in self.asked
            for format, precision, _ in self._models(bundle, target)
            for row in self._model_rows(bundle, target, format, precision, proved)
        ]

    def students(self) -> tuple[Quality, ...]:
        """Judge each bundle's student by the policy."""
        return tuple(self.student(name) for name in self.bundles)

    def student(self, name: str) -> Quality:
        """Judge the student of one bundle, by all of its queries, with the policy's exception if there is one."""
        bundle = self.bundles[name]
        quality = judge(name, bundle.goldens, self.policy.student)
        if quality.status == "pass" or not quality.asked:
            return quality
        # An exception for some target or file says nothing about the student.
        return _with_exception(quality, (name, ANY, ANY, ANY, STUDENT), self.policy)

    def close(self) -> None:
        """Stop everything that targets started."""
        for target in self.targets.values():
            target.close()

    def _gates(self, target: str) -> Gates:
        return self.policy.gates_of(target)

    def _models(self, bundle: str, target: str) -> list[tuple[str, str, ModelEntry | None]]:
        """Return the formats and precisions to report; the entry is None for a missing required format."""
        sample = self.asked[bundle, target]
        present = [(entry.format, entry.precision, entry) for entry in sample.manifest.models]
        return [*present, *((format, "", None) for format in missing(sample, self._gates(target)))]

    def _model_rows(
        self, bundle: str, target: str, format: str, precision: str, proved: Proved | None = None
    ) -> list[Row]:
        key = bundle, target, format, precision
        if key not in self._rows:
            entries = {(kind, accuracy): entry for kind, accuracy, entry in self._models(bundle, target)}
            findings = self._findings(bundle, target, format, entries[format, precision], proved)
            self._rows[key] = [
                excused(Row.of(bundle, target, format, precision, finding), self.policy) for finding in findings
            ]
        return self._rows[key]

    def _findings(
        self, bundle: str, target: str, format: str, entry: ModelEntry | None, proved: Proved | None
    ) -> list[Finding]:
        rungs = ladder_of(self.bundles[bundle].manifest)
        rungs = rungs if proved is None else (*rungs, EVIDENCE)
        machine, gates = self.targets[target], self._gates(target)
        if entry is None:
            return [Finding(rung, "not verified", f"the bundle holds no {format} file") for rung in rungs]
        if reason := no_runtime(machine, format):
            status = without_runtime(format, list(self.targets.values()), gates)
            return [Finding(rung, status, reason) for rung in rungs]
        if reason := self.set_up[0].get(target, ""):
            return [Finding(rung, "not verified", reason) for rung in rungs]
        sample = self.asked[bundle, target]
        findings = check_model(sample, entry, self.answer(Job(sample, entry, machine)), gates, self._approximate)
        return findings if proved is None else [*findings, proved[id(entry), target]]


def excused(row: Row, policy: Policy) -> Row:
    """Return the row, with the policy's exception for it if there is one."""
    if row.status in ("pass", "n/a"):
        return row
    return _with_exception(row, (row.bundle, row.target, row.format, row.precision, row.rung), policy)


def _with_exception(answer: Answer, case: Case, policy: Policy) -> Answer:
    today = datetime.date.today()
    expired = policy.expired(case, today)
    reason = f"{answer.reason}; {expired}" if expired else answer.reason
    return dataclasses.replace(answer, excused=policy.excuse(case, today), reason=reason)
