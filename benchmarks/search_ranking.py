"""Does a supernet rank architectures as training each of them does? Kendall's tau, by reward and batch-norm estimation.

    python benchmarks/search_ranking.py RUN --recipe demo --architectures 20 --out runs/search-ranking

``RUN`` is a run of the recipe whose cloud is trained. One supernet is trained; random points of the search space are
judged by its weights, then each is trained from scratch as the recipe's first student is, and measured on the test
classes: M(q, g) and M(q, q), map@r. What was trained before is not trained again. Intervals are over architectures
(1,000 bootstrap samples); ``macs`` shows what ranking by cost alone gives.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import where_and_when

from hetero.data.images import Dataset
from hetero.evaluation.retrieval import evaluate_tasks
from hetero.files import read_json, write_bytes, write_json
from hetero.models.cost import cost
from hetero.models.directory import load_model
from hetero.models.embed import embed_images
from hetero.pipeline.context import Context
from hetero.recipe import recipe_called
from hetero.search.architecture import Architecture
from hetero.search.correlation_figure import correlation_figure, kendall
from hetero.search.reward import SupernetReward
from hetero.search.space import SearchSpace
from hetero.search.space_file import built_in_space, load_space
from hetero.search.supernet_config import SupernetConfig
from hetero.search.train_supernet import train_supernet
from hetero.search.winner import as_student
from hetero.training.cloud_reference import CloudReference
from hetero.training.config import StudentConfig
from hetero.training.student import train_student

SAMPLES = 1000
REWARDS = ("r1", "r2", "r3")


def judged(supernet: Path, points: list[Architecture]) -> dict[str, list[float]]:
    """Each reward of each point, with and without estimated batch-norm statistics."""
    columns: dict[str, list[float]] = {}
    for name, estimates in (("estimated", True), ("moving averages", False)):
        reward = SupernetReward.of(supernet, batch_norm=estimates)
        figures = [reward(point) for point in points]
        columns |= {f"{key}, {name}": [one[key] for one in figures] for key in REWARDS}
    return columns


def trained(
    context: Context, cloud: CloudReference, gallery: np.ndarray, student: StudentConfig, out: Path, seed: int
) -> dict[str, float]:
    """Test figures of one architecture, trained from scratch."""
    path = out / "figures.json"
    if path.is_file():
        return read_json(path)
    data: Dataset = context.with_copies
    train_student(data, cloud, student, context.recipe.preprocessing, out, seed=seed)
    model = load_model(out)
    queries, labels = embed_images(model, data.test.images), np.asarray(data.test.labels)
    figures: dict[str, float] = {"macs": float(cost(model).macs)}
    for name, side in (("symmetric", queries), ("asymmetric", gallery)):
        result = evaluate_tasks(queries, side, labels, data.test_tasks, ks=(1,))
        figures |= {f"{name}.{metric}": result.mean(metric) for metric in ("map@r", "cmc@1")}
    write_json(path, figures)
    return figures


def with_interval(values: list[float], truth: list[float]) -> dict[str, float]:
    """Kendall's tau and the middle 95 % of its values over bootstrap samples of the architectures."""
    rng, one, other = np.random.default_rng(0), np.asarray(values), np.asarray(truth)
    taus = [kendall(one[rows], other[rows]) for rows in rng.integers(len(one), size=(SAMPLES, len(one)))]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return {"tau": kendall(values, truth), "low": float(low), "high": float(high)}


def table(result: dict[str, Any]) -> str:
    lines = ["| ranked by | tau with M(q, g) | 95 % | tau with M(q, q) |", "|---|---|---|---|"]
    for name, row in result["taus"].items():
        beside, own = row["asymmetric"], row["symmetric"]
        lines.append(f"| {name} | {beside['tau']:+.3f} | {beside['low']:+.3f} to {beside['high']:+.3f} "
                     f"| {own['tau']:+.3f} |")  # fmt: skip
    return "\n".join(lines)


def the_space(name: str) -> SearchSpace:
    return load_space(Path(name)) if name.endswith(".toml") else built_in_space(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--recipe", default="demo", help="built-in recipe, or a TOML file")
    parser.add_argument("--data", default="", help="the images, where the recipe names none")
    parser.add_argument("--space", default="demo", help="built-in space, or a TOML file")
    parser.add_argument("--architectures", type=int, default=20)
    parser.add_argument("--sampling", choices=("uniform", "sandwich"), default="uniform")
    parser.add_argument("--supernet-steps", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=0, help="of each architecture; 0 for the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/search-ranking"))
    options = parser.parse_args()
    recipe = recipe_called(Path(options.recipe))
    if options.data:
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, path=options.data))
    context = Context(recipe, options.run)
    data, space, student = context.with_copies, the_space(options.space), recipe.students[0]
    cloud = CloudReference.from_directory(context.cloud, data)
    training = dataclasses.replace(student.training, steps=options.steps or student.training.steps)
    shared = dataclasses.replace(
        training,
        steps=options.supernet_steps,
        validate_every=max(1, options.supernet_steps // 10),
    )
    config = SupernetConfig(
        sampling=options.sampling, training=shared, objectives=student.objectives, head=student.head
    )
    supernet = options.out / "supernet"
    train_supernet(data, cloud, space, config, recipe.preprocessing, supernet, seed=options.seed)
    rng = np.random.default_rng(options.seed)
    points = [space.sample(rng) for _ in range(options.architectures)]
    columns = judged(supernet, points)
    gallery = embed_images(load_model(context.cloud), data.test.images)
    figures: list[dict[str, float]] = []
    for point in points:
        one = as_student(space, point, dataclasses.replace(student, name=point.digest[:12], training=training))
        out = options.out / "trained" / f"{point.digest[:12]}-{training.steps}-{options.seed}"
        figures.append(trained(context, cloud, gallery, one, out, options.seed))
    columns["macs"] = [one["macs"] for one in figures]
    truths = {side: [one[f"{side}.map@r"] for one in figures] for side in ("asymmetric", "symmetric")}
    taus = {
        name: {side: with_interval(values, truth) for side, truth in truths.items()}
        for name, values in columns.items()
    }  # fmt: skip
    here = where_and_when()
    result = {
        "taus": taus,
        "points": [
            {
                "architecture": point.to_dict(),
                "rewards": {key: value[i] for key, value in columns.items()},
                **figures[i],
            }
            for i, point in enumerate(points)
        ],
        "options": {key: str(value) for key, value in vars(options).items()},
        **here,
    }
    write_json(options.out / "ranking.json", result)
    shown = {key: columns[f"{key}, estimated"] for key in REWARDS}
    write_bytes(options.out / "ranking.svg", correlation_figure(shown, truths["asymmetric"]))
    print(json.dumps(here), table(result), sep="\n\n")


if __name__ == "__main__":
    main()
