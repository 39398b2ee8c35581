"""Checks before a run starts: one list of everything that would stop it later.

A recipe's own mistakes are found when it is read. These checks look at files, build and count models, and find out
whether the formats and targets of export and verification are available. Nothing is decoded or trained.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from hetero.mistakes import attempt
from hetero.pipeline.context import Context
from hetero.pipeline.draft import Draft
from hetero.pipeline.engine.stage import RunStage, up_to_date
from hetero.pipeline.policy import policy_of
from hetero.pipeline.preflight.cloud import require_model, source_problems
from hetero.pipeline.preflight.domains import domain_problems
from hetero.pipeline.preflight.labels import unlabelled_problems
from hetero.pipeline.preflight.trainable import trainings_of
from hetero.pipeline.recipe import Recipe
from hetero.pipeline.stages import stages_of
from hetero.training.loop.machine import machine_problems


def stages_when_sound(draft: Draft, context: Context, groups: Sequence[str]) -> list[RunStage]:
    """Return the stages of some groups, if no problem is found that would stop one of them.

    Stages that are up to date are not checked again, so that a run without others starts at once.

    Args:
        draft: The recipe with its mistakes.
        context: The same recipe in its run's directory.
        groups: Names from :data:`hetero.pipeline.stages.NAMES`.

    Raises:
        InputError: With every problem.
    """
    problems = file_problems(draft) + _search_package_problems(context)
    stages: list[RunStage] = []
    pending: set[str] | None = None
    if draft.problems or problems:
        problems += data_problems(draft)
    elif grouped := attempt(problems, "data", lambda: stages_of(context)):
        stages = [stage for group, stage in grouped if group in groups]
        pending = {stage.directory for _, stage in grouped if not up_to_date(context.root, stage)}
    if pending is None or any(stage.directory in pending for stage in stages):
        problems += release_problems(draft, exporting="export" in groups)
        problems += machine_problems(trainings_of(draft.recipe))
        problems += unlabelled_problems(draft, pending)
        problems += _model_problems(draft, pending)
    draft.require_sound(*problems)
    return stages


def file_problems(draft: Draft) -> list[str]:
    """Return the problems of the files that a recipe names, as far as they are quick to find."""
    recipe = draft.recipe
    problems = source_problems(recipe.cloud)
    for index, student in enumerate(recipe.students):
        if student.start:
            place = f"students.{index} ({student.name}).start"
            attempt(problems, place, lambda student=student: require_model(Path(student.start)))
        if student.adapt:
            problems += domain_problems(f"students.{index} ({student.name}).adapt", student.adapt, draft)
    search = recipe.search
    if recipe.tiers and search.space.endswith(".toml"):
        attempt(problems, "search.space", lambda: search.search_space)
    if recipe.tiers and search.latency:
        # Late: a table's layers are modules, and a run with nothing to do needs no torch.
        from hetero.nas.cost.latency_table import LatencyTable

        attempt(problems, "search.latency", lambda: LatencyTable.load(Path(search.latency)))
    return problems


def _search_package_problems(context: Context) -> list[str]:
    """Return the packages that the recipe's search needs and that are not installed."""
    if not context.recipe.tiers:
        return []
    needed = {
        "pymoo": ("search.algorithm.name: pareto", "search", context.recipe.search.algorithm.name == "pareto"),
        "ray": ("--ray", "cluster", bool(context.workers.ray)),
    }
    return [
        f"{place} needs {package}; install with: pip install 'hetero[{extra}]'"
        for package, (place, extra, used) in needed.items()
        if used and importlib.util.find_spec(package) is None
    ]


def data_problems(draft: Draft) -> list[str]:
    """Return the problems of a recipe's data, before an image is opened."""
    from hetero.data.prepare import fingerprint

    problems: list[str] = []
    if draft.knows_data:
        attempt(problems, "data", lambda: fingerprint(draft.recipe.data, draft.recipe.preprocessing))
    return problems


def release_problems(draft: Draft, *, exporting: bool) -> list[str]:
    """Return the parts of a recipe's export and verification that cannot be done.

    Args:
        draft: The recipe.
        exporting: True if the run exports, so that the packages must be installed.
    """
    from device_tests.targets.registry import target_problems
    from export.bundle.signing import private_key
    from export.formats.converter import package_problems, selection_problems

    config, problems = draft.recipe.export, list[str]()
    if not (draft.doubts("export", "formats") or draft.doubts("export", "precisions")):
        problems += [f"export: {problem}" for problem in selection_problems(config.formats, config.precisions)]
    if exporting:
        problems += [f"export: {problem}" for problem in package_problems(config.formats)]
        if config.key:
            attempt(problems, "export.key", lambda: private_key(Path(config.key)))
    problems += [f"verify.targets: {problem}" for problem in target_problems(draft.recipe.verify.targets)]
    attempt(problems, "verify.policy", lambda: policy_of(draft.recipe.verify))
    return problems


def _model_problems(draft: Draft, pending: set[str] | None) -> list[str]:
    # Late: counting a network takes torch.
    from hetero.pipeline.preflight.models import model_problems

    return model_problems(draft, pending)


def recipe_preflight(recipe: Recipe) -> list[str]:
    """Return the problems of a recipe whose models are trained but not exported."""
    draft = Draft.of(recipe)
    problems = [*draft.problems, *file_problems(draft), *data_problems(draft), *unlabelled_problems(draft, None)]
    return [*problems, *_model_problems(draft, None)]
