"""Run many models on many targets within the cores of this machine."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from device_tests.answers import kept
from device_tests.ladder.climb import run_model
from device_tests.ladder.scope import no_runtime
from device_tests.targets.target import Returned, Target
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle
from hetero.display.progress import Bar
from hetero.errors import InputError


@dataclass(frozen=True)
class Work(ABC):
    """A piece of work for one exported model on a target.

    Attributes:
        bundle: The bundle.
        entry: A model with a format that the target has a runtime for.
        target: A target that is set up.
    """

    bundle: Bundle
    entry: ModelEntry
    target: Target

    @property
    @abstractmethod
    def images(self) -> int:
        """Number of images to embed."""

    @abstractmethod
    def run(self, advance: Callable[[int], object] = int, *, again: bool = False) -> Returned:
        """Run it, unless its answer is kept.

        Args:
            advance: Called with the number of further images done.
            again: True to run it in any case.
        """


@dataclass(frozen=True)
class Job(Work):
    """The queries and golden images of a bundle, to be embedded by one of its models."""

    @property
    def images(self) -> int:
        """Number of images to embed."""
        return len(self.bundle.goldens.golden_images) + len(self.bundle.goldens.query_rows)

    def run(self, advance: Callable[[int], object] = int, *, again: bool = False) -> Returned:
        """Run it; see :meth:`Work.run`."""
        key = kept.key(self.bundle, self.entry, self.target)
        return run_once(
            key, self.images, lambda: run_model(self.bundle, self.entry, self.target, advance), advance, again=again
        )


def run_once(
    key: str, images: int, run: Callable[[], Returned], advance: Callable[[int], object], *, again: bool
) -> Returned:
    """Return a target's answer, kept from an earlier run if there is one.

    Args:
        key: Digest of everything that decides the answer.
        images: Number of images to embed.
        run: Asks the target.
        advance: Called with the number of images if nothing has to be run.
        again: True to ask in any case.
    """
    if not again and (known := kept.load(key)) is not None:
        advance(images)
        return known
    returned = run()
    kept.save(key, returned)
    return returned


def set_up(machines: Sequence[Target]) -> tuple[dict[str, str], dict[str, Mapping[str, str]]]:
    """Set up targets; return the reasons why some are unavailable, and the descriptions of the others, both by name."""
    reasons: dict[str, str] = {}
    described: dict[str, Mapping[str, str]] = {}
    for machine in machines:
        try:
            machine.set_up()
            described[machine.name] = machine.describe()
        except InputError as error:
            reasons[machine.name] = str(error)
            described[machine.name] = {"not available": str(error)}
    return reasons, described


def jobs_of(bundle: Bundle, machine: Target) -> list[Job]:
    """Return a job for each of a bundle's models that the target, set up, has a runtime for."""
    return [Job(bundle, entry, machine) for entry in bundle.manifest.models if not no_runtime(machine, entry.format)]


def run_jobs(jobs: Sequence[Work], *, again: bool = False) -> list[Returned]:
    """Return the answer of each job, in order.

    Targets that measure times run one at a time with nothing beside them; then the others, as many at a time as there
    are cores.

    Args:
        jobs: Jobs on targets that are set up.
        again: True to run also jobs whose answers are kept from an earlier verification.
    """
    answers: dict[int, Returned] = {}
    with Bar(total=sum(job.images for job in jobs), unit="image", desc="verify") as bar:

        def run(index: int) -> None:
            bar.set_postfix_str(jobs[index].target.name)
            answers[index] = jobs[index].run(bar.update, again=again)

        for index in (index for index, job in enumerate(jobs) if not job.target.emulated):
            run(index)
        with ThreadPoolExecutor(cores()) as pool:
            running = [pool.submit(run, index) for index, job in enumerate(jobs) if job.target.emulated]
            try:
                for one in running:
                    one.result()
            except BaseException:
                _end(running, [job.target for job in jobs])
                raise
    return [answers[index] for index in range(len(jobs))]


def _end(running: Sequence[Future[None]], targets: Sequence[Target]) -> None:
    """End jobs whose results are no longer needed."""
    for one in running:
        one.cancel()
    while wait(running, timeout=0.5).not_done:
        for target in targets:
            target.close()


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
