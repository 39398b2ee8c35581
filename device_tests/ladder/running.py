"""Run many models on many targets within the cores of this machine."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from tqdm import tqdm

from device_tests.answers import kept
from device_tests.ladder.climb import run_model
from device_tests.ladder.scope import no_runtime
from device_tests.targets.target import Returned, Target
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle
from hetero.errors import InputError


class Work(ABC):
    """Something that a target does with one exported model.

    Attributes:
        target: Set up.
    """

    target: Target

    @property
    @abstractmethod
    def images(self) -> int:
        """How many images it embeds."""

    @abstractmethod
    def run(self, advance: Callable[[int], object] = int, *, again: bool = False) -> Returned:
        """Run it, unless what it would answer is kept.

        Args:
            advance: Told how many more images are done.
            again: Run it in any case.
        """


@dataclass(frozen=True)
class Job(Work):
    """One exported model of a bundle, to be run on one target.

    Attributes:
        bundle: The bundle.
        entry: A model with a format that the target has a runtime for.
        target: Set up.
    """

    bundle: Bundle
    entry: ModelEntry
    target: Target

    @property
    def images(self) -> int:
        """How many images it embeds."""
        return len(self.bundle.goldens.golden_images) + len(self.bundle.goldens.query_rows)

    def run(self, advance: Callable[[int], object] = int, *, again: bool = False) -> Returned:
        """As :meth:`Work.run`."""
        key = kept.key(self.bundle, self.entry, self.target)
        return run_once(
            key, self.images, lambda: run_model(self.bundle, self.entry, self.target, advance), advance, again=again
        )


def run_once(
    key: str, images: int, run: Callable[[], Returned], advance: Callable[[int], object], *, again: bool
) -> Returned:
    """What a target answers, from what is kept where it was asked before.

    Args:
        key: Digest of everything that decides the answer.
        images: How many it embeds.
        run: Asks the target.
        advance: Told of the images when nothing has to be run.
        again: Ask in any case.
    """
    if not again and (known := kept.load(key)) is not None:
        advance(images)
        return known
    returned = run()
    kept.save(key, returned)
    return returned


def set_up(machines: Sequence[Target]) -> tuple[dict[str, str], dict[str, Mapping[str, str]]]:
    """Why targets cannot be had, and what the others are; both by name."""
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
    """A job for each of a bundle's models that the target, set up, has a runtime for."""
    return [Job(bundle, entry, machine) for entry in bundle.manifest.models if not no_runtime(machine, entry.format)]


def run_jobs(jobs: Sequence[Work], *, again: bool = False) -> list[Returned]:
    """What each job returned, in order.

    Targets whose times are measured run one at a time with nothing beside them; then the others, as many at a time as
    there are cores.

    Args:
        jobs: On targets that are set up.
        again: Run also what is kept from an earlier verification.
    """
    answers: dict[int, Returned] = {}
    with tqdm(total=sum(job.images for job in jobs), unit="image", desc="verify") as bar:

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
    """End jobs that nobody waits for any more."""
    for one in running:
        one.cancel()
    while wait(running, timeout=0.5).not_done:
        for target in targets:
            target.close()


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
