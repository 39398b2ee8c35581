"""The commands that run a recipe, or part of one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.errors import InputError
from hetero.files import read_json
from hetero.flags import AllowCode
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.pipeline.context import Context
from hetero.pipeline.draft import Draft, draft_called
from hetero.pipeline.engine.graph import run_graph
from hetero.pipeline.engine.stage import RECORD, RunStage, up_to_date
from hetero.pipeline.engine.threads import stages_at_once
from hetero.pipeline.engine.together import joined, require_shared_folder, run_together
from hetero.pipeline.preflight.checks import stages_when_sound
from hetero.pipeline.recipe import Recipe
from hetero.pipeline.stages import NAMES
from hetero.processes.launch import own_rank
from hetero.processes.lock import locked
from hetero.processes.ranks import on_first_rank, ranks

Out = Annotated[Path | None, Parameter(help="Directory of the run; default runs/NAME.")]
Seed = Annotated[int | None, Parameter(help="Overrides the recipe's seed.")]
Resume = Annotated[bool, Parameter(help="Continue interrupted training from its checkpoint.")]
Jobs = Annotated[
    PositiveInt | None,
    Parameter(help="Stages run at once; default as many as there are cores, or one where there is a GPU."),
]
Data = Annotated[Path | None, Parameter(help="Overrides the path of the recipe's data.")]
Metrics = Annotated[
    list[str] | None,
    Parameter(help="Further figures, for instance tar@far=1e-3 nfr recall@10.", consume_multiple=True),
]
RecipeFile = Annotated[Path, Parameter(help="A TOML file, or a built-in recipe: demo, demo-search.")]


def demo(*, out: Out = None, seed: Seed = None, until: str = "report", resume: Resume = True, jobs: Jobs = None) -> int:
    """Train a cloud model and students on emoji, export them, verify them here and on an emulated phone.

    Finished stages are skipped; an interrupted run continues.

    Example: hetero demo --out runs/demo

    Args:
        out: Directory of the run.
        seed: Overrides the recipe's seed.
        until: Last stage to run: data, cloud, students, evaluate, export, verify or report.
        resume: Continue interrupted training from its checkpoint.
        jobs: Stages run at once; the results do not depend on it.
    """
    return run_until(draft_called(Path("demo"), seed=seed), out, None, until, resume, jobs=jobs)


def run(
    recipe: RecipeFile,
    *,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    until: str = "report",
    resume: Resume = True,
    jobs: Jobs = None,
    allow_code: AllowCode = False,
) -> int:
    """Run a recipe: data, cloud, search, students, evaluate, export, verify, report.

    Only a recipe with tiers has a search; `hetero search` does it with several processes. Finished stages are skipped
    while their part of the recipe and their inputs are unchanged.

    Example: hetero run recipe.toml --out runs/mine --until evaluate

    Args:
        recipe: A TOML file.
        data: Overrides the path of the recipe's data.
        out: Directory of the run.
        seed: Overrides the recipe's seed.
        until: Last stage to run.
        resume: Continue interrupted training from its checkpoint.
        jobs: Stages run at once; the results do not depend on it.
        allow_code: Run the code that a recipe, search space or model names.
    """
    if allow_code:
        own_code.allow_code()
    return run_until(draft_called(recipe, data=data, seed=seed), out, None, until, resume, jobs=jobs)


def train_cloud(
    recipe: RecipeFile,
    *,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    resume: Resume = True,
    allow_code: AllowCode = False,
) -> int:
    """Train the recipe's cloud model (and prepare its data).

    Example: hetero train cloud recipe.toml --out runs/mine
    """
    if allow_code:
        own_code.allow_code()
    return run_until(draft_called(recipe, data=data, seed=seed), out, None, "cloud", resume)


def train_students(
    recipe: RecipeFile,
    *,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    resume: Resume = True,
    jobs: Jobs = None,
    allow_code: AllowCode = False,
) -> int:
    """Train the recipe's students (and first the stages that they depend on, unless they are up to date).

    Example: hetero train students recipe.toml --out runs/mine
    """
    if allow_code:
        own_code.allow_code()
    return run_until(draft_called(recipe, data=data, seed=seed), out, None, "students", resume, jobs=jobs)


def evaluate(
    recipe: RecipeFile,
    *,
    metrics: Metrics = None,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    resume: Resume = True,
    jobs: Jobs = None,
    allow_code: AllowCode = False,
) -> int:
    """Compute the compatibility matrix of the recipe's models, and list the queries that each answers correctly.

    With --metrics, adds figures of every model's queries in the cloud's gallery, on the test images: tar@far=RATE
    (verification), tnir@fpir=RATE and fnir@fpir=RATE (open-set identification), nfr, pfr and rel-nfr (flips beside the
    cloud's own queries), and any metric of retrieval, such as recall@10. Prints them with 95 % intervals, and writes
    evaluation/metrics.json.

    Example: hetero evaluate recipe.toml --out runs/mine --metrics tar@far=1e-3 fnir@fpir=0.01 nfr
    """
    if allow_code:
        own_code.allow_code()
    from hetero.evaluation.asked import asked_for

    further, draft = asked_for(metrics or ()), draft_called(recipe, data=data, seed=seed)
    status = run_until(draft, out, None, "evaluate", resume, jobs=jobs)
    if further and own_rank() == 0:
        from hetero.pipeline.asked_metrics import tell_metrics

        tell_metrics(Context(draft.recipe, _root(out, draft.recipe)), further)
    return status


def run_until(
    recipe: Recipe | Draft,
    out: Path | None,
    seed: int | None,
    until: str,
    resume: bool,
    workers: WorkersConfig = WorkersConfig(),  # noqa: B008 - frozen
    *,
    jobs: int | None = None,
    begin: Callable[[], None] | None = None,
) -> int:
    """Run a recipe's stages up to a group of them, and return the exit status.

    Args:
        recipe: The recipe, or its draft.
        out: Directory of the run.
        seed: Overrides the recipe's seed.
        until: Last group of stages.
        resume: True to continue interrupted training from its checkpoint.
        workers: Processes or cluster that evaluate a search's candidates.
        jobs: Stages run at once; None for as many as there are cores, or one where there is a GPU to share.
        begin: Called when the recipe is sound, before its first stage.

    Raises:
        InputError: With every mistake in the recipe, before anything runs.
    """
    if until not in NAMES:
        raise InputError(f"--until: expected one of {', '.join(NAMES)}, got {until!r}")
    draft = recipe if isinstance(recipe, Draft) else Draft.of(recipe)
    draft = draft if seed is None else dataclasses.replace(draft, recipe=dataclasses.replace(draft.recipe, seed=seed))
    root = _root(out, draft.recipe)
    context = Context(draft.recipe, root, resume, workers)
    groups = NAMES[: NAMES.index(until) + 1]
    with joined():
        stages = on_first_rank(lambda: stages_when_sound(draft, context, groups))
        with locked(root, shared=True):
            on_first_rank(lambda: _begin(root, begin))
            _run(root, stages, jobs)
        return on_first_rank(lambda: _status(context, groups))


def _begin(root: Path, begin: Callable[[], None] | None) -> None:
    if begin is not None:
        begin()
    _retry_unverified(root)


def _run(root: Path, stages: Sequence[RunStage], jobs: int | None) -> None:
    require_shared_folder(root)
    if ranks() > 1:
        run_together(root, stages, jobs=jobs or stages_at_once())
        return
    pending = any(not up_to_date(root, stage) for stage in stages)
    run_graph(root, stages, jobs=jobs or (stages_at_once() if pending else 1))


def _status(context: Context, groups: Sequence[str]) -> int:
    status = _verdict(context.root) if groups[-1] in ("verify", "report") else 0
    return 1 if "students" in groups and _refused(context) else status


def _root(out: Path | None, recipe: Recipe) -> Path:
    return out or Path("runs") / recipe.name


def _retry_unverified(root: Path) -> None:
    """Discard a verification that could not be done, and its report: what was missing may be available by now."""
    summary = root / "verification" / "summary.json"
    if summary.is_file() and read_json(summary)["exit_code"] == 3:
        for stage in ("verification", "report"):
            (root / stage / RECORD).unlink(missing_ok=True)


def _refused(context: Context) -> bool:
    """Report the refused adaptations; True if there are any."""
    if not any(student.adapt for student in context.recipe.students):
        return False
    from hetero.pipeline.adapted import told_refusals

    return told_refusals(context)


def _verdict(root: Path) -> int:
    summary = read_json(root / "verification" / "summary.json")
    page = root / "report.html"
    print("\n".join(headline["line"] for headline in summary["headlines"]), file=sys.stderr)
    if page.is_file():
        print(f"see {page}", file=sys.stderr)
    return int(summary["exit_code"])
