"""The two further stages of a recipe with tiers: train the supernet, and search."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from export.bundle.accelerators import AcceleratorName
from hetero.files import read_json, write_bytes, write_json, write_text
from hetero.metrics.registry import in_brief
from hetero.metrics.retrieval import evaluate_tasks
from hetero.nas.cost.budget import Budget, divided_by
from hetero.nas.cost.cost import CostModel, Pieces
from hetero.nas.cost.latency_table import LatencyTable
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.evaluation.reward import SupernetReward
from hetero.nas.evaluation.reward_set import RewardSet
from hetero.nas.evaluation.workers import workers
from hetero.nas.figures.architecture import architecture_figure
from hetero.nas.figures.front import front_figure
from hetero.nas.outcome import FILE, Judged, SearchOutcome, Winner, as_page, as_recipe
from hetero.nas.search import Candidate, Found, Search
from hetero.nas.space.model_table import model_table
from hetero.nas.space.winner import as_student
from hetero.nas.supernet.directory import REWARDS, load_supernet
from hetero.nas.supernet.train import train_supernet
from hetero.pipeline.context import Context
from hetero.schema import parse_file
from hetero.training.config import StudentConfig

EVALUATIONS = "evaluations"
"""Folder beside the stages', because evaluations serve every budget under which the same supernet is searched."""


def supernet(context: Context, work: Path) -> None:
    """Train the shared weights against the cloud's cached embeddings."""
    recipe, dataset = context.recipe, context.with_copies
    cloud = context.reference(dataset, recipe.search.supernet.objectives)
    train_supernet(
        dataset,
        cloud,
        recipe.search.search_space,
        recipe.search.supernet,
        recipe.preprocessing,
        work,
        seed=recipe.seed,
        resume=context.resume,
    )


def search(context: Context, work: Path) -> None:
    """Search for each tier's student; write the record, the page, the pictures and a snippet of a recipe."""
    recipe, config = context.recipe, context.recipe.search
    stored = load_supernet(context.supernet)
    space, dimension = stored.frame.space, stored.frame.dimension
    table = _table(context)
    cloud = _cloud(context)
    budgets = {tier.name: Budget.parse(tier.budget).resolved(cloud) for tier in recipe.tiers}
    costs = CostModel(space, recipe.preprocessing, dimension, table, _pieces(budgets.values()))
    plan = Search(space, budgets, costs, config.algorithm, config.reward, recipe.seed)
    reward = SupernetReward.of(context.supernet, config.metric)
    with workers(reward, context.workers) as pool:
        found = plan.run(Evaluations(context.root / EVALUATIONS, reward.digest), pool)
    result = SearchOutcome(
        name=recipe.name,
        reward=config.reward,
        metric=config.metric,
        algorithm=config.algorithm.name,
        seed=recipe.seed,
        points=space.size,
        evaluations=reward.digest,
        cloud=cloud,
        latency=table.target if table else {},
        winners=_winners(found, budgets),
        candidates=tuple(map(_judged, found.candidates)),
    )
    tables = {item.tier: model_table(space.config(item.architecture, dimension=dimension)) for item in result.winners}
    write_json(work / FILE, dataclasses.asdict(result))
    write_text(work / "search.md", as_page(result))
    write_text(work / "students.toml", as_recipe(result, tables))
    write_bytes(work / "front.svg", front_figure(result))
    write_bytes(work / "architectures.svg", architecture_figure(result))


def load_outcome(directory: Path) -> SearchOutcome:
    """Read the outcome of :func:`search`.

    Raises:
        IntegrityError: When the file is damaged.
    """
    return parse_file(SearchOutcome, directory / FILE)


def student_of(context: Context, tier: str) -> StudentConfig:
    """Return the student that a search found for a tier, with the kind of last layer whose cost the search counted."""
    config = context.recipe.search
    architecture = load_outcome(context.search).winner(tier).architecture
    return as_student(config.search_space, architecture, dataclasses.replace(config.student, name=tier, principal=0))


def _table(context: Context) -> LatencyTable | None:
    path = context.recipe.search.latency
    return LatencyTable.load(Path(path)) if path else None


def _pieces(budgets: Iterable[Budget]) -> dict[str, Pieces]:
    """Return the further pieces that layers make, for the accelerators that a budget names."""
    names = {divided_by(quantity) for budget in budgets for quantity in budget.quantities} - {""}
    if not names:
        return {}
    from export.layer_pieces import further_pieces

    return {name: partial(further_pieces, accelerator=cast("AcceleratorName", name)) for name in sorted(names)}


def _cloud(context: Context) -> dict[str, float]:
    """Return the cloud's own figure on the images that candidates are judged on, and its costs where known."""
    data = RewardSet.load(context.supernet / REWARDS)
    metric, labels = context.recipe.search.metric, np.asarray(data.labels)
    own = evaluate_tasks(data.gallery, data.gallery, labels, data.tasks, metrics=in_brief(metric))
    path = context.cloud / "metrics.json"
    metrics: dict[str, Any] = read_json(path) if path.is_file() else {}
    costs = {name: float(metrics[name]) for name in ("macs", "parameters") if metrics.get(name)}
    return {"figure": own.mean(metric), **costs}


def _judged(candidate: Candidate) -> Judged:
    return Judged(
        candidate.architecture.digest[:12],
        candidate.tier,
        candidate.generation,
        candidate.figures,
        candidate.costs,
    )


def _winners(found: Found, budgets: dict[str, Budget]) -> tuple[Winner, ...]:
    return tuple(
        Winner(tier, str(budgets[tier]), winner.architecture, winner.figures, winner.costs)
        for tier, winner in found.winners.items()
    )
