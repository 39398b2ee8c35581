"""Models of a recipe that cannot be built or fit no budget: each is built once before the first is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hetero.data.embeddings.file import load_embeddings, rows_in
from hetero.data.index.build import is_indexed
from hetero.data.prepare import expected_names
from hetero.linear.config import Part
from hetero.linear.parts import require_part
from hetero.mistakes import attempt
from hetero.models.cost import Cost, untrained_cost
from hetero.models.external.embedders import OnnxEmbedder
from hetero.nas.cost.budget import Budget, divided_by
from hetero.nas.cost.cost import CostModel
from hetero.nas.cost.latency_table import LatencyTable
from hetero.pipeline.draft import Draft
from hetero.pipeline.external_cloud import cloud_embedder
from hetero.pipeline.preflight.cloud import source_problems
from hetero.pipeline.recipe import Recipe
from hetero.preprocessing import Preprocessing
from hetero.training.budget import require_budget
from hetero.training.config import SOURCES, StudentConfig


@dataclasses.dataclass(frozen=True)
class Cloud:
    """Dimension and cost of a cloud model, before it is trained or embeds anything.

    Attributes:
        dimension: Dimension of its embeddings.
        macs: Multiply-accumulates of an image; 0 when they are not known.
        parameters: Weights; 0 when they are not known.
    """

    dimension: int
    macs: int
    parameters: int


def model_problems(draft: Draft, pending: set[str] | None) -> list[str]:
    """Return the obstacles to building a recipe's models within their budgets.

    Args:
        draft: The recipe; parts that could not be read are not checked.
        pending: Directories of the stages that are to run; None for all.
    """
    recipe, problems = draft.recipe, list[str]()
    sized = not any(draft.doubts("preprocessing", name) for name in ("height", "width", "shrink"))
    cloud = _cloud(draft, problems, sized)
    if not sized:
        return problems
    # Where the cloud is not known, assume the least that a student can cost.
    cloud = cloud or Cloud(dimension=1, macs=0, parameters=0)
    counted: dict[object, list[str]] = {}
    for index, student in enumerate(recipe.students):
        if draft.doubts("students", index, "model") or (pending and f"students/{student.name}" not in pending):
            continue
        place = f"students.{index} ({student.name})"
        changing: dict[str, Part | None] = {
            "adapt.settings": student.adapt and student.adapt.settings.part,
            "anchor_factors": student.anchor_factors,
        }
        for key, part in changing.items():
            if part:
                attempt(
                    problems, f"{place}.{key}", lambda student=student, part=part: require_part(student.model, part)
                )
        # A comparison trains one architecture with many objectives.
        if student.max_macs_share and not cloud.macs:
            continue  # reported with the recipe's own mistakes
        key = (student.model, student.principal, student.max_macs, student.max_macs_share, student.max_parameters)
        if key not in counted:
            counted[key] = []
            attempt(counted[key], "model", lambda student=student: _student_cost(student, cloud, recipe.preprocessing))
        problems += [f"{place}: {problem}" for problem in counted[key]]
    if recipe.tiers and not any(draft.doubts("search", name) for name in ("space", "latency")):
        problems += _tier_problems(recipe, cloud)
    return problems


def _cloud(draft: Draft, problems: list[str], sized: bool) -> Cloud | None:
    """Return the cloud model's dimension and cost; None when too little is known of it."""
    recipe, config = draft.recipe, draft.recipe.cloud
    if any(draft.doubts("cloud", name) for name in ("model", *SOURCES)):
        return None
    if config.embeddings:
        if source_problems(config):
            return None  # reported with the other files
        stored = attempt(problems, "cloud.embeddings", lambda: load_embeddings(Path(config.embeddings)))
        names = attempt([], "data", lambda: _names(recipe)) if draft.knows_data else None
        if stored is not None and names:
            attempt(problems, "cloud.embeddings", lambda: rows_in(stored, names))
        return None if stored is None else Cloud(stored.space.dimension, config.macs, config.parameters)
    if draft.doubts("cloud", "preprocessing") or not (config.preprocessing or sized):
        return None
    if config.is_external:
        if source_problems(config):
            return None  # reported with the other files
        place = f"cloud.{next(iter(config.sources))}"
        embedder = attempt(problems, place, lambda: cloud_embedder(recipe))
        if embedder is None or isinstance(embedder, OnnxEmbedder) or not config.is_counted:
            return embedder and Cloud(embedder.space.dimension, config.macs, config.parameters)
        return Cloud(embedder.space.dimension, embedder.cost.macs, embedder.cost.parameters)
    counts = attempt(problems, "cloud", lambda: untrained_cost(config.model, recipe.cloud_preprocessing))
    return counts and Cloud(config.model.dimension, counts.macs, counts.parameters)


def _names(recipe: Recipe) -> Sequence[str]:
    """Return the names of all images that need cloud embeddings, as far as they are known without decoding one."""
    data = recipe.data
    missing = not is_indexed(data) and not Path(data.path).exists()  # reported with the data
    if data.kind == "emoji" or data.skip_unreadable or missing:
        return []
    return expected_names(data, copies=recipe.cloud.copies)


def _student_cost(student: StudentConfig, cloud: Cloud, preprocessing: Preprocessing) -> Cost:
    """Return the cost of the student, or of its narrowest version where it has a budget."""
    dimension = student.model.dimension if student.independent else cloud.dimension
    return untrained_cost(require_budget(student, dimension, preprocessing, cloud.macs), preprocessing)


def _tier_problems(recipe: Recipe, cloud: Cloud) -> list[str]:
    """Report tiers whose budget not even the smallest network of the search space fits."""
    config, problems = recipe.search, list[str]()
    # A file that cannot be read is reported with the other files.
    space = attempt([], "search.space", lambda: config.search_space)
    table = attempt([], "search.latency", lambda: LatencyTable.load(Path(config.latency))) if config.latency else None
    if space is None or (config.latency and table is None):
        return []
    costs = attempt(
        problems,
        "search",
        lambda: CostModel(space, recipe.preprocessing, cloud.dimension, table)(space.smallest),
    )
    if costs is None:
        return problems
    if config.algorithm.name == "pareto" and config.algorithm.cost not in costs:
        problems.append(f"search.algorithm.cost: expected one of {', '.join(costs)}, got {config.algorithm.cost!r}")
    cloud_costs = {"macs": float(cloud.macs), "parameters": float(cloud.parameters)}
    for index, tier in enumerate(recipe.tiers):
        place = f"tiers.{index} ({tier.name})"
        # A budget that cannot be read or resolved is reported with the recipe's own mistakes.
        budget = attempt([], place, lambda tier=tier: Budget.parse(tier.budget).resolved(cloud_costs))
        if budget is None:
            continue
        # Partitions are found by exporting, which takes too long here.
        budget = Budget(tuple(limit for limit in budget.limits if not divided_by(limit.quantity)))
        if unknown := [name for name in budget.quantities if name not in costs]:
            problems.append(f"{place}: limits {', '.join(unknown)}; {config.latency} tells {', '.join(costs)}")
        else:
            exceeded = budget.exceeded(costs)
            problems += [f"{place}: no network of the search space fits {line}" for line in exceeded]
    return problems
