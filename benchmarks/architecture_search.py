"""Is the searched student better, and does the reward know it? Retrained from scratch, over seeds, with intervals.

For each seed: a recipe's cloud model and supernet; at each share of the cloud's multiply-accumulates, winners by each
reward and by random search with as many evaluations, and hand-made networks scaled to the same multiply-accumulates.
All are trained by the recipe's `[search.student]` and judged as query models on test images.

    python benchmarks/architecture_search.py demo-search --seeds 0 1 2 --shares 20 40 80 --out runs/nas

With `--correlate 20`, as many random architectures are trained, too, for the rank correlation of each reward, with and
without estimated batch-norm statistics, with the M(q, g) that training gives. Finished parts are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

# The repository instead of this folder.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from hetero.data.embeddings import aligned, load_embeddings  # noqa: E402
from hetero.errors import InputError  # noqa: E402
from hetero.evaluation.bootstrap import difference_interval, mean_interval  # noqa: E402
from hetero.evaluation.retrieval import TaskResult, evaluate_tasks  # noqa: E402
from hetero.files import digest, read_json, write_bytes, write_json  # noqa: E402
from hetero.models.config import ModelConfig  # noqa: E402
from hetero.models.cost import widest_within  # noqa: E402
from hetero.models.directory import load_model  # noqa: E402
from hetero.models.embed import embed_images  # noqa: E402
from hetero.models.handmade import HANDMADE, handmade  # noqa: E402
from hetero.pipeline.context import Context  # noqa: E402
from hetero.pipeline.stage import Stage, run_stages  # noqa: E402
from hetero.pipeline.stages import stages_of  # noqa: E402
from hetero.recipe import Recipe, recipe_called  # noqa: E402
from hetero.search.allowed import Allowed  # noqa: E402
from hetero.search.architecture import Architecture  # noqa: E402
from hetero.search.budget import Budget  # noqa: E402
from hetero.search.config import Tier  # noqa: E402
from hetero.search.correlation_figure import correlation_figure, kendall  # noqa: E402
from hetero.search.cost import CostModel  # noqa: E402
from hetero.search.evaluations import Evaluations  # noqa: E402
from hetero.search.reward import SupernetReward  # noqa: E402
from hetero.search.search import Search  # noqa: E402
from hetero.search.workers import workers  # noqa: E402
from hetero.search.workers_config import WorkersConfig  # noqa: E402
from hetero.training.cloud_reference import CLOUD_EMBEDDINGS, CloudReference  # noqa: E402
from hetero.training.student import train_student  # noqa: E402

METRIC = "map@r"
REWARDS = ("r1", "r2", "r3")


class Trial:
    """One seed: its cloud, its supernet, and the students trained from them."""

    def __init__(self, recipe: Recipe, root: Path, seed: int, jobs: int) -> None:
        tiers = recipe.tiers or (Tier("any", "macs <= cloud/20"),)
        self.recipe = dataclasses.replace(recipe, seed=seed, tiers=tiers)
        self.context = Context(self.recipe, root / f"seed-{seed}")
        self.jobs, self.seed = jobs, seed
        wanted = ("data", "cloud", "supernet")
        run_stages(self.context.root, [one for _, one in stages_of(self.context) if one.name in wanted])
        self.space = recipe.search.search_space
        self.stored = load_embeddings(self.context.cloud / CLOUD_EMBEDDINGS)
        self.dimension = self.stored.space.dimension
        self.costs = CostModel(self.space, recipe.preprocessing, self.dimension)
        self.cloud_macs = int(read_json(self.context.cloud / "metrics.json")["macs"])

    def rewards(self, points: list[Architecture], *, batch_norm: bool = True) -> list[dict[str, float]]:
        """Figures of points with the supernet's weights."""
        reward = SupernetReward.of(self.context.supernet, self.recipe.search.metric, batch_norm=batch_norm)
        known = Evaluations(self.context.root / "evaluations", reward.digest)
        with workers(reward, WorkersConfig(processes=self.jobs)) as some:
            for point, figures in some.evaluate([one for one in points if one not in known]):
                known.add(point, figures)
        return [known[point] for point in points]

    def winner(self, share: int, reward: str, algorithm: str) -> Architecture:
        """What a search finds within a share of the cloud's multiply-accumulates."""
        config = dataclasses.replace(self.recipe.search.algorithm, name=algorithm)
        budgets = {f"1/{share}": Budget.parse(f"macs <= {self.cloud_macs / share!r}")}
        evaluate = SupernetReward.of(self.context.supernet, self.recipe.search.metric)
        search = Search(self.space, budgets, self.costs, config, reward, self.seed)
        with workers(evaluate, WorkersConfig(processes=self.jobs)) as some:
            found = search.run(Evaluations(self.context.root / "evaluations", evaluate.digest), some)
        return found.winners[f"1/{share}"].architecture

    def random_points(self, count: int, share: int) -> list[Architecture]:
        """Random points within a share of the cloud's multiply-accumulates, of any cost up to it."""
        budget = Budget.parse(f"macs <= {self.cloud_macs / share!r}")
        rng = np.random.default_rng([self.seed, 20])
        allowed = Allowed(self.space, budget, self.costs)
        return [allowed.sample(rng) for _ in range(count)]

    def trained(self, model: ModelConfig) -> tuple[TaskResult, dict[str, int]]:
        """Train an architecture from scratch; M(q, g) on test images, and its costs. Equal ones are trained once."""
        name = digest(dataclasses.asdict(model))[:12]
        config = dataclasses.replace(self.recipe.search.student, name=name, model=model)
        dataset = self.context.with_copies

        def produce(work: Path) -> None:
            cloud = CloudReference.from_directory(self.context.cloud, dataset, live=config.live)
            train_student(dataset, cloud, config, self.recipe.preprocessing, work, seed=self.seed)

        identity = digest([dataclasses.asdict(config), self.stored.space.space_id, self.seed])
        run_stages(self.context.root, [Stage(f"train {name}", f"trained/{name}", identity, produce)])
        directory = self.context.root / "trained" / name
        test = dataset.test
        queries = embed_images(load_model(directory), test.images)
        gallery = aligned(self.stored, test)
        result = evaluate_tasks(queries, gallery, np.asarray(test.labels), dataset.test_tasks)
        return result, {key: int(read_json(directory / "metrics.json")[key]) for key in ("macs", "parameters")}

    def cloud(self) -> TaskResult:
        """The cloud in its own gallery, on test images."""
        test = self.context.dataset.test
        own = aligned(self.stored, test)
        return evaluate_tasks(own, own, np.asarray(test.labels), self.context.dataset.test_tasks)

    def networks(self, share: int) -> dict[str, ModelConfig]:
        """Name -> network, of every arm at one share of the cloud's multiply-accumulates."""
        arms = {f"evolution {reward}": self.winner(share, reward, "evolution") for reward in REWARDS}
        arms["random search r2"] = self.winner(share, "r2", "random")
        arms["random draw"] = self.random_points(1, share)[0]
        found = {name: self.space.config(one, dimension=self.dimension) for name, one in arms.items()}
        for name in HANDMADE:
            network = handmade(name, stem_stride=self.space.stem_stride, dimension=self.dimension)
            try:
                found[name] = widest_within(network, self.recipe.preprocessing, macs=int(self.cloud_macs / share))
            except InputError as error:
                print(f"1/{share}: {name} is left out: {error}", file=sys.stderr)
        return found


def compare(trials: list[Trial], share: int, chosen: str = "evolution r2") -> dict[str, Any]:
    """Every arm at one share: means, intervals over classes, and the chosen arm minus each other, paired."""
    results: dict[str, list[TaskResult]] = {}
    macs: dict[str, list[int]] = {}
    for trial in trials:
        for name, network in trial.networks(share).items():
            result, costs = trial.trained(network)
            results.setdefault(name, []).append(result)
            macs.setdefault(name, []).append(costs["macs"])
    everywhere = {name: some for name, some in results.items() if len(some) == len(trials)}
    clouds = [trial.cloud() for trial in trials]
    labels = clouds[0].labels
    pooled = {name: averaged(some) for name, some in everywhere.items()}
    cloud = float(np.mean([one.mean(METRIC) for one in clouds]))
    rows = {
        name: {
            "m_q_g": dataclasses.asdict(mean_interval(values, clusters=labels)),
            "seeds": [one.mean(METRIC) for one in everywhere[name]],
            "of_the_cloud": float(np.mean([one.mean(METRIC) for one in everywhere[name]])) / cloud,
            "macs": macs[name],
            "chosen_minus_it": dataclasses.asdict(difference_interval(pooled[chosen], values, clusters=labels)),
        }
        for name, values in pooled.items()
    }
    return {"share": share, "cloud": cloud, "chosen": chosen, "arms": rows}


def averaged(results: list[TaskResult]) -> list[np.ndarray]:
    """Each query's value averaged over the seeds, an array a task."""
    return [np.mean([one.per_query(METRIC)[task] for one in results], axis=0) for task in range(len(results[0].tasks))]


def correlate(trial: Trial, count: int, share: int) -> dict[str, Any]:
    """Kendall's tau of each reward, with and without estimated batch norm, with the trained M(q, g)."""
    points = trial.random_points(count, share)
    networks = [trial.space.config(one, dimension=trial.dimension) for one in points]
    trained = [trial.trained(network)[0].mean(METRIC) for network in networks]
    rewards = {
        f"{reward}{'' if batch_norm else ', moving averages'}": [one[reward] for one in figures]
        for batch_norm in (True, False)
        for figures in [trial.rewards(points, batch_norm=batch_norm)]
        for reward in REWARDS
    }
    macs = [trial.costs(one)["macs"] for one in points]
    taus = {name: kendall(values, trained) for name, values in {**rewards, "macs": macs}.items()}
    return {"seed": trial.seed, "tau": taus, "trained": trained, "rewards": rewards, "macs": macs}


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines: list[str] = []
    for part in result["budgets"]:
        lines += [
            f"1/{part['share']} of the cloud's multiply-accumulates; the cloud's {METRIC} {part['cloud']:.3f}",
            "",
            f"| network | M(q, g), 95 % | of the cloud's | MACs | {part['chosen']} minus it, 95 % |",
            "|---|---|---|---|---|",
        ]
        for name, row in sorted(part["arms"].items(), key=lambda item: -item[1]["m_q_g"]["value"]):
            own, behind = row["m_q_g"], row["chosen_minus_it"]
            lines.append(
                f"| {name} | {own['value']:.3f} [{own['low']:.3f}, {own['high']:.3f}] | {row['of_the_cloud']:.3f} "
                f"| {np.mean(row['macs']) / 1e6:.2f}M "
                f"| {behind['value']:+.3f} [{behind['low']:+.3f}, {behind['high']:+.3f}] |"
            )
        lines.append("")
    for part in result["correlation"]:
        taus = ", ".join(f"{name} {tau:.2f}" for name, tau in part["tau"].items())
        lines += [f"Kendall's tau with {len(part['trained'])} trained architectures, seed {part['seed']}: {taus}", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path, help="a TOML file with a [search] section, or demo-search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shares", type=int, nargs="*", default=[20, 40, 80], help="of the cloud's cost: 1/20, ...")
    parser.add_argument("--correlate", type=int, default=0, help="train so many random architectures with each seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/architecture-search"))
    options = parser.parse_args()
    recipe = recipe_called(options.recipe)
    trials = [Trial(recipe, options.out, seed, options.jobs) for seed in options.seeds]
    result: dict[str, Any] = {
        **where_and_when(),
        "recipe": recipe.name,
        "seeds": options.seeds,
        "evaluations": recipe.search.algorithm.population * recipe.search.algorithm.generations,
        "budgets": [compare(trials, share) for share in options.shares],
        "correlation": [],
    }
    for trial in trials if options.correlate else []:
        found = correlate(trial, options.correlate, share=min(options.shares, default=20))
        result["correlation"].append(found)
        picture = correlation_figure(found["rewards"], found["trained"])
        write_bytes(options.out / f"correlation-seed-{trial.seed}.svg", picture)
    write_json(options.out / "architecture-search.json", result)
    print(page(result))
    print(json.dumps({key: result[key] for key in ("date", "machine", "seeds", "evaluations")}))


if __name__ == "__main__":
    main()
