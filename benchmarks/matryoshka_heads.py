r"""Matryoshka heads or a rotation: what shorter vectors keep when the cloud is trained for them, and when it is not.

Trains the demo's cloud on emoji once a seed with the own classifier of the whole vector, and once with that of its
prefixes, without the embedded copies of its images, and the demo's students in the space of each. Then the first
coordinates of the one are compared with the rotation of the other. Figures are cmc@1 on test images, the gallery the
cloud's in int8; the queries are each student's, and once more the cloud's own. All seeds ask the same queries: what is
averaged over seeds, and resampled by classes, is each query's mean.

    python -m benchmarks.matryoshka_heads --seeds 0 1 2 --students edge-m edge-s --out runs/matryoshka

A training that is finished in ``--out`` is not repeated, so that seeds can be trained apart and put together at last.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

import hetero
from benchmarks.compact_space import LENGTHS, Answers, Search, Way, first_coordinates, rotated
from benchmarks.machine import where_and_when
from benchmarks.records import signed
from hetero.compact.rotation import principal_rotation
from hetero.files import write_json
from hetero.metrics import Interval, RetrievalTask, difference_interval
from hetero.models.cost import cost
from hetero.pipeline.context import Context
from hetero.pipeline.draft import recipe_called

HEADS = ("own_head", "matryoshka")
ROTATION, PREFIX, WHOLE = "rotation", "first coordinates", "whole"


@dataclass(frozen=True)
class Case:
    """Whose vectors are shortened, how, and to how many coordinates."""

    head: str
    way: str
    dimension: int


@dataclass(frozen=True)
class Vectors:
    """What the trainings with one head and seed leave: vectors of one space.

    Attributes:
        queries: Each student's of the test images, by its name.
        gallery: The cloud's of the test images.
        train: The cloud's of the training images.
    """

    queries: Mapping[str, Float32[np.ndarray, "n d"]]
    gallery: Float32[np.ndarray, "n d"]
    train: Float32[np.ndarray, "m d"]

    def answers(
        self, head: str, labels: np.ndarray, tasks: Sequence[RetrievalTask], lengths: Sequence[int] = LENGTHS
    ) -> Iterator[tuple[str, Case, Answers]]:
        """Who asks, the case, and for each task 1 for each query whose first hit is of its class."""
        rotation, whole = principal_rotation(self.train), self.train.shape[1]
        changes = {(WHOLE, whole): lambda some: some}
        changes |= {(ROTATION, length): rotated(rotation, length) for length in lengths}
        changes |= {(PREFIX, length): first_coordinates(length) for length in lengths}
        for asker, query in {**self.queries, "cloud": self.gallery}.items():
            search = Search(query, self.gallery, labels, tasks)
            for (way, length), change in changes.items():
                yield asker, Case(head, way, length), search.answers(Way(way, change, length, "int8"), 1)


@dataclass(frozen=True)
class Figures:
    """The answers of one asker in every case, a list with a place for each seed."""

    by_case: Mapping[Case, Sequence[Answers]]
    clusters: Sequence[np.ndarray]

    def mean(self, case: Case) -> float:
        """cmc@1, the mean over seeds."""
        return float(np.mean(self.each_seed(case)))

    def each_seed(self, case: Case) -> list[float]:
        """cmc@1 of each seed."""
        return [float(np.mean([task.mean() for task in answers])) for answers in self.by_case[case]]

    def difference(self, new: Case, old: Case) -> Interval:
        """The mean over seeds of one less another, with its paired interval over classes."""
        sides = [[np.mean(task, axis=0) for task in zip(*self.by_case[case], strict=True)] for case in (new, old)]
        return difference_interval(*sides, clusters=self.clusters, seed=0)


def rows(figures: Mapping[str, Figures]) -> Iterator[list[str]]:
    """Each case beside the first, and what the rotation of a plain cloud has more than a Matryoshka prefix."""
    cases = list(next(iter(figures.values())).by_case)
    for case in sorted(cases, key=lambda one: -one.dimension):
        cells = [str(case.dimension), case.head, case.way]
        for one in figures.values():
            cells += [f"{one.mean(case):.3f}", "" if case == cases[0] else signed(vars(one.difference(case, cases[0])))]
        yield cells
    for length in sorted({case.dimension for case in cases if case.way == ROTATION}, reverse=True):
        pair = Case("own_head", ROTATION, length), Case("matryoshka", PREFIX, length)
        cells = [str(length), "own_head, rotation", "less matryoshka, first coordinates"]
        for one in figures.values():
            each = (new - old for new, old in zip(*map(one.each_seed, pair), strict=True))
            cells += [signed(vars(one.difference(*pair))), ", ".join(f"{value:+.3f}" for value in each)]
        yield cells


@dataclass(frozen=True)
class Training:
    """The trainings with one head and seed.

    Attributes:
        data: The emoji.
        recipe: The demo's.
        head: The name of the cloud's own classifier.
        steps: Of the cloud.
        seed: Of all of them.
        folder: Keeps them.
    """

    data: hetero.Dataset
    recipe: hetero.Recipe
    head: str
    steps: int
    seed: int
    folder: Path

    def vectors(self, students: Sequence[str]) -> Vectors:
        """Train what the folder does not hold."""
        cloud = self._cloud()
        reference = hetero.CloudReference.from_model(self.folder / "cloud", self.data)
        takes, macs = self.recipe.preprocessing, cost(cloud).macs
        queries: dict[str, Float32[np.ndarray, "n d"]] = {}
        for config in (one for one in self.recipe.students if one.name in students):
            folder = self.folder / config.name
            model = hetero.train_student(self.data, reference, config, takes, folder, cloud_macs=macs, seed=self.seed)
            queries[config.name] = self._embedded(model)
        return Vectors(queries, self._embedded(cloud), reference.train[:])

    def _cloud(self) -> hetero.EmbeddingModel:
        training = dataclasses.replace(self.recipe.cloud.training, steps=self.steps, validate_every=self.steps)
        objectives = (hetero.ObjectiveConfig(self.head), hetero.ObjectiveConfig("supervised_contrastive"))
        config = dataclasses.replace(self.recipe.cloud, copies=0, objectives=objectives, training=training)
        takes = self.recipe.preprocessing
        return hetero.train_cloud(self.data, config, takes, self.folder / "cloud", seed=self.seed)

    def _embedded(self, model: hetero.EmbeddingModel) -> Float32[np.ndarray, "n d"]:
        return hetero.embed_images(model, self.data.test.images)


def main() -> None:
    """Train what is not there, and print each case's figures over all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--students", nargs="+", default=["edge-m"], choices=["edge-m", "edge-s"])
    parser.add_argument("--steps", type=int, default=800, help="of each cloud")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    about = where_and_when() | {"steps": arguments.steps, "seeds": arguments.seeds}
    print(json.dumps(about), flush=True)
    recipe = recipe_called(Path("demo"))
    data = Context(recipe, arguments.out).dataset
    labels, tasks = np.asarray(data.test.labels), data.test_tasks
    by_case: dict[str, dict[Case, list[Answers]]] = {}
    for seed in arguments.seeds:
        for head in HEADS:
            training = Training(data, recipe, head, arguments.steps, seed, arguments.out / f"{head}-{seed}")
            for asker, case, answers in training.vectors(arguments.students).answers(head, labels, tasks):
                by_case.setdefault(asker, {}).setdefault(case, []).append(answers)
    clusters = [labels[task.query] for task in tasks]
    lines = list(rows({asker: Figures(cases, clusters) for asker, cases in by_case.items()}))
    for cells in lines:
        print(f"| {' | '.join(cells)} |")
    write_json(arguments.out / "matryoshka.json", about | {"lines": lines})


if __name__ == "__main__":
    main()
