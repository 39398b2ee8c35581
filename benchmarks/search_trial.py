"""One seed of a search's benchmarks: a cloud, a supernet, and architectures trained from scratch beside them.

Everything that was done before is found again, and interrupted training continues.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hetero import (
    CloudReference,
    ModelConfig,
    Recipe,
    TrainingConfig,
    aligned,
    embed_images,
    load_embeddings,
    load_model,
    train_student,
)
from hetero.data.embeddings.file import EmbeddingFile
from hetero.files import digest, read_json
from hetero.metrics import TaskResult, evaluate_tasks
from hetero.nas import Architecture, Budget, CostModel, Search, SearchSpace, SupernetReward, Tier, WorkersConfig
from hetero.nas.algorithms.allowed import Allowed
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.evaluation.workers import workers
from hetero.pipeline.context import Context
from hetero.pipeline.draft import recipe_called
from hetero.pipeline.engine.stage import RunStage, run_stages, up_to_date
from hetero.pipeline.search import EVALUATIONS
from hetero.pipeline.stages import CHECKPOINTS, stages_of
from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS

METRIC = "map@r"
REWARDS = ("r1", "r2", "r3", "cosine")


@dataclass(frozen=True)
class Figures:
    """Of a network that was trained from scratch, on test images.

    Attributes:
        asymmetric: Its queries in the cloud's gallery, M(q, g).
        symmetric: In its own, M(q, q).
        macs: Multiply-accumulates of an image.
    """

    asymmetric: TaskResult
    symmetric: TaskResult
    macs: int


@dataclass(frozen=True)
class Trial:
    """One seed.

    Attributes:
        context: The recipe with this seed, and where its files go.
        cloud_stage: Identity of the cloud that everything is trained against.
        jobs: Candidates judged, and networks trained, at once.
    """

    context: Context
    cloud_stage: str
    jobs: int

    @classmethod
    def of(cls, recipe: Recipe, root: Path, jobs: int) -> Trial:
        """Train a recipe's cloud and supernet, unless they are there."""
        tiers = recipe.tiers or (Tier("any", "macs <= cloud/20"),)
        context = Context(dataclasses.replace(recipe, tiers=tiers), root)
        stages = {stage.name: stage for _, stage in stages_of(context)}
        run_stages(root, [stages[name] for name in ("data", "cloud", "supernet")])
        return cls(context, stages["cloud"].identity, jobs)

    @property
    def seed(self) -> int:
        """Of everything that is drawn and trained."""
        return self.context.recipe.seed

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        return self.context.recipe.search.search_space

    @cached_property
    def stored(self) -> EmbeddingFile:
        """The cloud's vectors of all images."""
        return load_embeddings(self.context.cloud / CLOUD_EMBEDDINGS)

    @cached_property
    def cloud_macs(self) -> int:
        """Multiply-accumulates of the cloud for one image."""
        return int(read_json(self.context.cloud / "metrics.json")["macs"])

    @cached_property
    def costs(self) -> CostModel:
        """Of points."""
        return CostModel(self.space, self.context.recipe.preprocessing, self.stored.space.dimension)

    def budget(self, share: int) -> Budget:
        """One ``share``-th of the cloud's multiply-accumulates."""
        return Budget.parse(f"macs <= {self.cloud_macs / share!r}")

    def config(self, point: Architecture) -> ModelConfig:
        """A point as a network of the cloud's dimension."""
        return self.space.config(point, dimension=self.stored.space.dimension)

    def random_points(self, count: int, share: int) -> list[Architecture]:
        """Random points within a share of the cloud's multiply-accumulates, of any cost up to it."""
        allowed, rng = Allowed(self.space, self.budget(share), self.costs), np.random.default_rng([self.seed, 20])
        return [allowed.sample(rng) for _ in range(count)]

    def rewards(self, points: Sequence[Architecture], *, batch_norm: bool = True) -> list[dict[str, float]]:
        """Figures of points with the supernet's weights."""
        reward = self._reward(batch_norm)
        known = Evaluations(self.context.root / EVALUATIONS, reward.digest)
        with workers(reward, WorkersConfig(processes=self.jobs)) as some:
            unknown = [point for point in points if not all(known.has(point, name) for name in REWARDS)]
            for point, figures in some.evaluate(unknown):
                known.add(point, figures)
        return [known[point] for point in points]

    def winner(self, share: int, reward: str, algorithm: str) -> Architecture:
        """What a search finds within a share of the cloud's multiply-accumulates."""
        config = dataclasses.replace(self.context.recipe.search.algorithm, name=algorithm)
        tier, evaluate = f"1/{share}", self._reward()
        search = Search(self.space, {tier: self.budget(share)}, self.costs, config, reward, self.seed)
        with workers(evaluate, WorkersConfig(processes=self.jobs)) as some:
            found = search.run(Evaluations(self.context.root / EVALUATIONS, evaluate.digest), some)
        return found.winners[tier].architecture

    def trained(self, networks: Sequence[ModelConfig]) -> list[Figures]:
        """Train networks from scratch as the recipe's ``[search.student]``, each once, and measure them."""
        waiting = [
            network
            for network in dict.fromkeys(networks)
            if not up_to_date(self.context.root, _training(self.context, self.cloud_stage, network))
        ]
        parts = [part for start in range(self.jobs) if (part := waiting[start :: self.jobs])]
        if len(parts) < 2:
            _train(self.context.recipe, self.context.root, self.cloud_stage, waiting)
        else:
            spawned = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(len(parts), mp_context=spawned) as pool:
                asked = [
                    pool.submit(_train, self.context.recipe, self.context.root, self.cloud_stage, part)
                    for part in parts
                ]
                for one in asked:
                    one.result()
        return [self._measured(network) for network in networks]

    def cloud(self) -> TaskResult:
        """The cloud in its own gallery, on test images."""
        own = aligned(self.stored, self.context.dataset.test)
        return self._evaluated(own, own)

    def _reward(self, batch_norm: bool = True) -> SupernetReward:
        return SupernetReward.of(self.context.supernet, self.context.recipe.search.metric, batch_norm=batch_norm)

    def _measured(self, network: ModelConfig) -> Figures:
        test = self.context.dataset.test
        directory = self.context.root / _training(self.context, self.cloud_stage, network).directory
        queries = embed_images(load_model(directory), test.images)
        return Figures(
            self._evaluated(queries, aligned(self.stored, test)),
            self._evaluated(queries, queries),
            int(read_json(directory / "metrics.json")["macs"]),
        )

    def _evaluated(self, queries: np.ndarray, gallery: np.ndarray) -> TaskResult:
        dataset = self.context.dataset
        return evaluate_tasks(queries, gallery, np.asarray(dataset.test.labels), dataset.test_tasks)


def with_options(parser: ArgumentParser) -> ArgumentParser:
    """Add what all benchmarks of a search ask."""
    parser.add_argument("recipe", type=Path, help="a TOML file with a [search] section, or demo-search")
    parser.add_argument("--data", type=Path, help="overrides the path of the recipe's data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=0, help="of each network trained from scratch; 0: the recipe's")
    parser.add_argument("--supernet-steps", type=int, default=0, help="0: the recipe's")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread")
    parser.add_argument("--out", type=Path, default=Path("runs/architecture-search"))
    return parser


def trials_of(options: Namespace) -> list[Trial]:
    """A trial for each seed."""
    recipe = recipe_called(options.recipe, data=options.data)
    student, supernet = recipe.search.student, recipe.search.supernet
    alone = dataclasses.replace(_in_steps(student.training, options.steps), threads=1)
    shared = _in_steps(supernet.training, options.supernet_steps)
    search = dataclasses.replace(
        recipe.search,
        student=dataclasses.replace(student, training=alone),
        supernet=dataclasses.replace(supernet, training=shared),
    )
    seeded = [dataclasses.replace(recipe, search=search, seed=seed) for seed in options.seeds]
    return [Trial.of(one, options.out / f"seed-{one.seed}", options.jobs) for one in seeded]


def described(trial: Trial) -> dict[str, Any]:
    """What was asked of every seed, to keep beside the figures."""
    recipe = trial.context.recipe
    return {
        "recipe": recipe.name,
        "steps": recipe.search.student.training.steps,
        "supernet_steps": recipe.search.supernet.training.steps,
        "candidates": recipe.search.algorithm.population * recipe.search.algorithm.generations,
    }


def _in_steps(training: TrainingConfig, steps: int) -> TrainingConfig:
    """The same training in another number of steps with as many looks at validation; as it is for 0."""
    if not steps:
        return training
    looks = max(1, training.steps // training.validate_every)
    return dataclasses.replace(training, steps=steps, validate_every=max(1, steps // looks))


def _train(recipe: Recipe, root: Path, cloud_stage: str, networks: Sequence[ModelConfig]) -> None:
    context = Context(recipe, root)
    run_stages(root, [_training(context, cloud_stage, network) for network in networks])


def _training(context: Context, cloud_stage: str, network: ModelConfig) -> RunStage:
    """The stage that trains a network."""
    recipe = context.recipe
    identity = digest([dataclasses.asdict(recipe.search.student), dataclasses.asdict(network), cloud_stage])
    config = dataclasses.replace(recipe.search.student, name=identity[:12], model=network)

    def produce(work: Path) -> None:
        dataset = context.with_copies
        cloud = CloudReference.from_directory(context.cloud, dataset, live=config.live)
        train_student(dataset, cloud, config, recipe.preprocessing, work, seed=recipe.seed)

    return RunStage(f"train {config.name}", f"trained/{config.name}", identity, produce, scratch=CHECKPOINTS)
