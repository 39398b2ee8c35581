"""Ask emulated targets ahead of a verification: they are slow, and their answers are kept.

Nothing is timed here, so it may run beside other work. It produces no verdict: a verification asks again, finds the
answers in the cache (:mod:`device_tests.answers.kept`), and asks anew for those that are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device_tests.ladder.running import jobs_of, run_jobs, set_up
from device_tests.ladder.sample import asked_of
from device_tests.targets.registry import emulated
from device_tests.targets.registry import target as target_called
from export.bundle.reading import read_bundle


def set_up_ahead(targets: Sequence[str]) -> dict[str, str]:
    """Set up those of the targets that are emulated.

    Returns:
        For each of them ``ready``, or the reason why it is unavailable.
    """
    machines = [target_called(name) for name in emulated(targets)]
    reasons, _ = set_up(machines)
    return {machine.name: reasons.get(machine.name, "ready") for machine in machines}


def ask_ahead(bundle: Path, targets: Sequence[str], *, queries: int | None = None) -> dict[str, str]:
    """Run a bundle's models on those of the targets that are emulated.

    Args:
        bundle: The bundle's directory.
        targets: The targets of the verification.
        queries: Limit on queries, as for the verification.

    Returns:
        For each of them and each model ``answered``, or the reason why not.

    Raises:
        IntegrityError: If the bundle is damaged.
    """
    opened, machines = read_bundle(bundle), [target_called(name) for name in emulated(targets)]
    reasons, _ = set_up(machines)
    ready = [machine for machine in machines if machine.name not in reasons]
    jobs = [job for machine in ready for job in jobs_of(asked_of(opened, machine, queries), machine)]
    try:
        answers = run_jobs(jobs)
    finally:
        for machine in machines:
            machine.close()
    return reasons | {
        f"{job.target.name} {job.entry.format} {job.entry.precision}": answer.error or "answered"
        for job, answer in zip(jobs, answers, strict=True)
    }
