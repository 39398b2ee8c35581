"""The work of a comparison: stages in separate processes, several at once."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hetero.compare.config import CLOUD, Comparison
from hetero.data.embeddings.file import save_embeddings
from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.embed import embed_images
from hetero.pipeline.context import Context
from hetero.pipeline.engine.stage import RunStage, run_stages, up_to_date
from hetero.pipeline.stages import stages_of
from hetero.processes.children import spawn_context

EMBEDDINGS = "embeddings.safetensors"
LOGS = "logs"


@dataclass(frozen=True)
class TrainingJob:
    """One model to train.

    Attributes:
        seed: Its seed.
        model: The student's name, or ``cloud``.
    """

    seed: int
    model: str


def run_jobs(comparison: Comparison, root: Path, jobs: Sequence[TrainingJob], *, processes: int) -> None:
    """Run the jobs that are not done yet, each in a separate process; a job that fails does not stop the others.

    Args:
        comparison: The comparison.
        root: Its directory; a seed's run is in ``seed-N``.
        jobs: The jobs, in any order.
        processes: Number of jobs at once.

    Raises:
        InputError: When jobs failed, with each one's reason.
    """
    pending = [
        job for job in jobs if not all(up_to_date(_home(root, job), stage) for stage in _stages(comparison, root, job))
    ]
    problems: list[str] = []
    context = spawn_context()
    with (
        Bar(total=len(jobs), initial=len(jobs) - len(pending), desc="training", unit="model") as bar,
        ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=1) as pool,
    ):
        waiting = {pool.submit(_perform, comparison, root, job): job for job in pending}
        for future in as_completed(waiting):
            job = waiting[future]
            try:
                future.result()
            except InputError as error:
                problems.append(f"seed {job.seed}, {job.model}: {error}")
            except BrokenProcessPool:
                problems.append(f"seed {job.seed}, {job.model}: the process died; see {_log(root, job)}")
            bar.set_postfix_str(f"last: seed {job.seed}, {job.model}")
            bar.update()
    if problems:
        raise InputError("not everything could be trained; the rest is kept:", problems)


def _perform(comparison: Comparison, root: Path, job: TrainingJob) -> None:
    log = _log(root, job)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stderr(stream):
        # Waits for any process left by a killed comparison, since it works on the same files.
        fcntl.flock(stream, fcntl.LOCK_EX)
        run_stages(_home(root, job), _stages(comparison, root, job))


def _stages(comparison: Comparison, root: Path, job: TrainingJob) -> list[RunStage]:
    """Return the stages that train the model and, for a student, embed the images that it is judged by."""
    context = Context(comparison.recipe(job.seed), _home(root, job))
    stages = {stage.directory: stage for _, stage in stages_of(context)}
    if job.model == CLOUD:
        return [stages["cloud"]]
    trained = stages[f"students/{job.model}"]
    is_adapted = job.model in {method.of for method in comparison.methods}
    embedded = dataclasses.replace(
        trained,
        name=f"embed {job.model}",
        directory=f"embeddings/{job.model}",
        produce=lambda work: _embed(context, work, job.model, with_train=is_adapted),
        scratch=(),
    )
    return [trained, embedded]


def _embed(context: Context, work: Path, student: str, *, with_train: bool) -> None:
    model, dataset = load_model(context.student(student)), context.dataset
    assert model.space is not None
    sets = (dataset.validation, dataset.test) + ((context.with_copies.train,) if with_train else ())
    vectors = [embed_images(model, part.images, progress=f"embedding with {student}") for part in sets]
    names = [name for part in sets for name in part.names]
    save_embeddings(work / EMBEDDINGS, np.concatenate(vectors), names, model.space)


def _home(root: Path, job: TrainingJob) -> Path:
    return root / f"seed-{job.seed}"


def _log(root: Path, job: TrainingJob) -> Path:
    return root / LOGS / f"seed-{job.seed}.{job.model}.log"
