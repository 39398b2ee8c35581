"""Rules between the parts of a recipe; the limits of a single part are declared by its type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from export.bundle.accelerators import ACCELERATORS
from hetero.mistakes import attempt
from hetero.nas.cost.budget import COUNTED, DIVIDED, MEASURED, Budget, divided_by, is_measured
from hetero.pipeline.recipe import Recipe
from hetero.preprocessing import CUT_FROM_OF_CLOUDS
from hetero.training.config import StudentConfig
from hetero.training.rules import cloud_problems, crop_problems, judging_problems, mixup_problems, objective_problems


def _nothing(*_place: str | int) -> bool:
    return False


def recipe_problems(recipe: Recipe, *, doubts: Callable[..., bool] = _nothing) -> list[str]:
    """Return every mistake in a recipe beyond its types.

    Args:
        recipe: A recipe whose types are right.
        doubts: Returns True for a place whose value could not be read.
    """
    problems: list[str] = []
    if not recipe.all_students and not doubts("students") and not doubts("tiers"):
        problems.append("students: missing; expected at least one [[students]] or [[tiers]] table")
    if recipe.name.startswith(".") or set(recipe.name).intersection("/\\"):
        problems.append(
            f"name: expected one without slashes that does not begin with a dot, got {recipe.name!r}; it becomes the "
            "name of the run's folder"
        )
    if recipe.preprocessing.cut_from is not None:
        problems.append(CUT_FROM_OF_CLOUDS)
    problems += _name_problems([recipe.cloud.name, *(student.name for student in recipe.models)])
    problems += cloud_problems(recipe.cloud)
    for index, student in enumerate(recipe.students):
        problems += _student_problems(f"students.{index} ({student.name})", student, recipe)
    return problems + (_search_problems(recipe) if recipe.tiers else [])


def _name_problems(names: Sequence[str]) -> list[str]:
    repeated = {name: times for name, times in Counter(names).items() if times > 1}
    problems = [f"name {name!r} is used by {times} models" for name, times in sorted(repeated.items())]
    return problems + [
        f"name {name!r}: expected letters, digits, '-', '_' and '.'; it becomes a file's name"
        for name in names
        if not all(character.isalnum() or character in "-_." for character in name) or name.startswith(".")
    ]


def _student_problems(place: str, student: StudentConfig, recipe: Recipe) -> list[str]:
    cloud = recipe.cloud
    has_texts = bool(cloud.text) and not student.independent
    problems = objective_problems(place, student.objectives, has_cloud=not student.independent, has_texts=has_texts)
    problems += judging_problems(place, student.training) if student.independent else []
    if student.embeds_live and cloud.embeddings:
        name = "live" if student.live else "refresh"
        problems.append(
            f"{place}.{name}: runs the cloud model on images as they are changed, and only its embeddings are known; "
            "leave it out, or give the model itself (cloud.onnx, cloud.program, cloud.backbone, cloud.directory, "
            "cloud.module)"
        )
    problems += mixup_problems(place, student.training, student.objectives, has_cloud=not student.independent)
    copies = 0 if student.independent else cloud.copies
    problems += crop_problems(place, student.training, copies=copies)
    if student.max_macs_share and not cloud.is_counted and not cloud.macs:
        problems.append(
            f"{place}.max_macs_share: the cloud's cost is not known; say max_macs, or what an image costs the cloud "
            "model as cloud.macs"
        )
    return problems


def _search_problems(recipe: Recipe) -> list[str]:
    config, problems = recipe.search, list[str]()
    has_texts = bool(recipe.cloud.text)
    problems += objective_problems("search.supernet", config.supernet.objectives, has_cloud=True, has_texts=has_texts)
    supernet = config.supernet
    problems += mixup_problems("search.supernet", supernet.training, supernet.objectives, has_cloud=True)
    problems += _student_problems("search.student", config.student, recipe)
    if config.student.principal not in (0, "auto"):
        problems.append("search.student.principal: costs of a search are those of a learnt last layer; leave it out")
    if config.student.start:
        problems.append("search.student.start: a tier's architecture is what a search finds; leave it out")
    if config.student.adapt:
        problems.append("search.student.adapt: adapt a tier's student with hetero adapt when it is found; leave it out")
    if config.student.anchor_factors:
        problems.append("search.student.anchor_factors: write them with hetero anchor-factors when a student is found")
    if config.student.independent:
        problems.append("search.student: expected a student that lives in the cloud's space, got independent = true")
    if not config.space.endswith(".toml"):  # a file is checked when the recipe's folder is known
        attempt(problems, "search.space", lambda: config.search_space)
    if config.algorithm.cost not in COUNTED and not is_measured(config.algorithm.cost):
        choices = f"{', '.join(COUNTED)} or {' or '.join(f'{name}.RUNTIME' for name in MEASURED)}"
        problems.append(f"search.algorithm.cost: expected one of {choices}, got {config.algorithm.cost!r}")
    for index, tier in enumerate(recipe.tiers):
        place = f"tiers.{index} ({tier.name})"
        budget = attempt(problems, place, lambda tier=tier: Budget.parse(tier.budget))
        problems += _budget_problems(place, budget, recipe) if budget else []
    return problems


def _budget_problems(place: str, budget: Budget, recipe: Recipe) -> list[str]:
    problems: list[str] = []
    if not budget.limits:
        problems.append(f"{place}: expected a budget, for instance macs <= cloud/40")
    if not recipe.search.latency and any(
        name.startswith(f"{kind}.") for name in budget.quantities for kind in MEASURED
    ):
        problems.append(f"{place}: limits latency, and search.latency names no table; see `hetero device latency`")
    problems += [
        f"{place}: expected one of {', '.join(f'{DIVIDED}.{one}' for one in ACCELERATORS)}, got {name!r}"
        for name in budget.quantities
        if divided_by(name) and divided_by(name) not in ACCELERATORS
    ]
    cloud = recipe.cloud
    problems += [
        f"{place}: the cloud's {limit.quantity} is not known; give a number, or cloud.{limit.quantity}"
        for limit in budget.limits
        if limit.of_cloud and not cloud.is_counted and not getattr(cloud, limit.quantity)
    ]
    return problems
