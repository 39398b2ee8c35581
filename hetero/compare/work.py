"""The work of a comparison: stages in processes of their own, as many at once as asked for."""

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
from tqdm import tqdm

from hetero.compare.config import CLOUD, Comparison
from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.embed import embed_images
from hetero.pipeline.context import Context
from hetero.pipeline.engine.stage import Stage, run_stages, up_to_date
from hetero.pipeline.stages import stages_of
from hetero.processes.children import spawn_context

EMBEDDINGS = "embeddings.safetensors"
LOGS = "logs"


@dataclass(frozen=True)
class Job:
    """One model to train.

    Attributes:
        seed: Whose.
        model: The student's name, or ``cloud``.
    """

    seed: int
    model: str


def run_jobs(comparison: Comparison, root: Path, jobs: Sequence[Job], *, processes: int) -> None:
    """Do what is not done yet, each job in a process of its own; a job that fails does not stop the others.

    Args:
        comparison: What is compared.
        root: Its directory; a seed's run is in ``seed-N``.
        jobs: To do, in any order.
        processes: How many at once.

    Raises:
        InputError: When jobs failed, with each one's reason.
    """
    left = [job for job in jobs if not all(up_to_date(_home(root, job), one) for one in _stages(comparison, root, job))]
    problems: list[str] = []
    context = spawn_context()
    with (
        tqdm(total=len(jobs), initial=len(jobs) - len(left), desc="training", unit="model") as bar,
        ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=1) as pool,
    ):
        waiting = {pool.submit(_perform, comparison, root, job): job for job in left}
        for done in as_completed(waiting):
            job = waiting[done]
            try:
                done.result()
            except InputError as error:
                problems.append(f"seed {job.seed}, {job.model}: {error}")
            except BrokenProcessPool:
                problems.append(f"seed {job.seed}, {job.model}: the process died; see {_log(root, job)}")
            bar.set_postfix_str(f"last: seed {job.seed}, {job.model}")
            bar.update()
    if problems:
        raise InputError("not everything could be trained; the rest is kept:", problems)


def _perform(comparison: Comparison, root: Path, job: Job) -> None:
    log = _log(root, job)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stderr(stream):
        # Waits for a process that a killed comparison left behind: it is at work on the same files.
        fcntl.flock(stream, fcntl.LOCK_EX)
        run_stages(_home(root, job), _stages(comparison, root, job))


def _stages(comparison: Comparison, root: Path, job: Job) -> list[Stage]:
    """Training the model and, for a student, embedding the images that it is judged by."""
    context = Context(comparison.recipe(job.seed), _home(root, job))
    stages = {stage.directory: stage for _, stage in stages_of(context)}
    if job.model == CLOUD:
        return [stages["cloud"]]
    trained = stages[f"students/{job.model}"]
    adapted = job.model in {method.of for method in comparison.methods}
    embedded = dataclasses.replace(
        trained,
        name=f"embed {job.model}",
        directory=f"embeddings/{job.model}",
        produce=lambda work: _embed(context, work, job.model, with_train=adapted),
        scratch=(),
    )
    return [trained, embedded]


def _embed(context: Context, work: Path, student: str, *, with_train: bool) -> None:
    model, dataset = load_model(context.student(student)), context.dataset
    assert model.space is not None
    sets = (dataset.validation, dataset.test) + ((context.with_copies.train,) if with_train else ())
    vectors = [embed_images(model, one.images, progress=f"embedding with {student}") for one in sets]
    names = [name for one in sets for name in one.names]
    save_embeddings(work / EMBEDDINGS, np.concatenate(vectors), names, model.space)


def _home(root: Path, job: Job) -> Path:
    return root / f"seed-{job.seed}"


def _log(root: Path, job: Job) -> Path:
    return root / LOGS / f"seed-{job.seed}.{job.model}.log"
