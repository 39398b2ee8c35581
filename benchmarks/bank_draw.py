"""Does it matter which of the cloud's vectors make the bank? Drawn over all classes, beside the first of the listing.

    OMP_NUM_THREADS=1 python -m benchmarks.bank_draw --seeds 0 1 2 --steps 200

60 classes of 100 images at 16 px: waves of colour, whose direction, length and ground make the class, and whose phase,
turn and noise differ from image to image. The cloud is as cheap as it can be: its vector of an image is a direction of
the class, near those of four kindred classes, with what it knows of phase and turn added; nothing is trained for it.

The bank holds 4,096 of the 6,000 vectors: all of the first 40 classes, 96 of the next and none of 19, or 68 or 69 of
each class. Students of equal seed differ in nothing else. 20 further images of each class query the cloud's vectors of
the same images, their own left out; intervals are paired, over classes, with the seeds' figures of a query averaged.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import hetero
from benchmarks.machine import where_and_when
from benchmarks.records import spread
from hetero import Dataset, ImageSet, ModelConfig, Stage
from hetero.metrics import RetrievalTask, difference_interval
from hetero.training.reference import cloud_tensors
from hetero.training.reference.bank import LARGEST_BANK
from hetero.training.reference.cloud_reference import class_means

CLASSES, KINDRED, SIDE, DIMENSION = 60, 5, 16, 64
METRICS = ("cmc@1", "map@r")
OUTSIDE = range(-(-LARGEST_BANK // 100), CLASSES)
"""Classes of which the front of the listing holds nothing."""
OBJECTIVES = {
    "default": hetero.StudentConfig("default").objectives,
    "cloud_contrastive": (hetero.ObjectiveConfig("cloud_contrastive"),),
    "instance_contrastive": (hetero.ObjectiveConfig("instance_contrastive"),),
}
NO_CHANGE = hetero.AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)
MODEL = ModelConfig(
    dimension=DIMENSION,
    stem_channels=8,
    stem_stride=1,
    stages=(Stage(channels=8, stride=2), Stage(channels=16, stride=2), Stage(channels=32, stride=2)),
)


def front(labels: NDArray[np.int64], _sources: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Rows of the bank as they were chosen before."""
    del seed
    return np.arange(min(len(labels), LARGEST_BANK))


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class World:
    """Classes, as pictures and as the cloud sees them."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        kin = np.arange(CLASSES) // KINDRED
        families = generator.normal(size=(CLASSES // KINDRED, 3, 3))
        self.waves = families[kin] + 0.25 * generator.normal(size=(CLASSES, 3, 3))
        self.colours = families[kin][:, :, 0] + 0.5 * generator.normal(size=(CLASSES, 3))
        directions = unit(generator.normal(size=(CLASSES // KINDRED, DIMENSION)))
        self.directions = unit(directions[kin] + 0.6 * unit(generator.normal(size=(CLASSES, DIMENSION))))
        self.knowledge = generator.normal(size=(4, DIMENSION)) / DIMENSION**0.5

    def images(self, name: str, each: int, seed: int) -> tuple[ImageSet, NDArray[np.float32]]:
        """Images of every class, sorted by class, and the cloud's unit vectors of them."""
        generator = np.random.default_rng(seed)
        labels = np.repeat(np.arange(CLASSES), each)
        phase, turn = generator.uniform(0, 2 * np.pi, len(labels)), generator.normal(0, 0.25, len(labels))
        y, x = np.mgrid[:SIDE, :SIDE] / SIDE
        cos, sin = (side(turn)[:, None, None, None] for side in (np.cos, np.sin))
        across, down, tone = (self.waves[labels][:, :, place, None, None] for place in range(3))
        angle = 2 * np.pi * ((across * cos - down * sin) * x + (across * sin + down * cos) * y) + tone * 2
        mean = 127 + 40 * self.colours[labels][:, :, None, None]
        values = mean + 50 * np.sin(angle + phase[:, None, None, None])
        noisy = values + generator.normal(0, 25, values.shape)
        pixels = noisy.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
        latents = np.stack([np.cos(phase), np.sin(phase), 2 * turn, generator.normal(size=len(labels))], axis=1)
        vectors = unit(self.directions[labels] + 0.5 * latents @ self.knowledge).astype(np.float32)
        names = tuple(f"{name}/{label:02}/{row:05}" for row, label in enumerate(labels))
        classes = tuple(f"{label:02}" for label in range(CLASSES))
        views = np.zeros(len(labels), np.int64)
        return ImageSet(np.ascontiguousarray(pixels), labels, classes, views, ("all",), names, f"{name}{seed}"), vectors


def figures(objective: str, seed: int, steps: int) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Each query's figures, by bank and metric."""
    world = World(seed)
    (train, taught), (validation, _), (test, gallery) = (
        world.images(name, each, 10 * seed + place)
        for place, (name, each) in enumerate((("train", 100), ("validation", 2), ("test", 20)))
    )
    rows = np.arange(len(test))
    tasks = (RetrievalTask("all", rows, rows, exclude_self=True),)
    few = (RetrievalTask("all", np.arange(len(validation)), np.arange(len(validation)), exclude_self=True),)
    data = Dataset("waves", train, validation, test, few, tasks, f"waves{seed}")
    space = hetero.EmbeddingSpace.define(defined_by="waves", name="waves", version=str(seed), dimension=DIMENSION)
    cloud = hetero.CloudReference(space, taught, class_means(taught, np.asarray(train.labels), CLASSES), None)
    training = hetero.TrainingConfig(
        steps=steps, optimizer="adamw", learning_rate=6e-3, validate_every=steps, threads=1, augment=NO_CHANGE
    )
    config = hetero.StudentConfig("student", model=MODEL, objectives=OBJECTIVES[objective], training=training)
    own = hetero.metrics.evaluate_tasks(gallery, gallery, np.asarray(test.labels), tasks)
    result = {"cloud": {metric: own.per_query(metric)[0] for metric in METRICS}}
    for bank in ("front", "drawn"):
        choose = front if bank == "front" else cloud_tensors.bank_rows
        with tempfile.TemporaryDirectory() as place, mock.patch.object(cloud_tensors, "bank_rows", choose):
            shape = hetero.Preprocessing(height=SIDE, width=SIDE)
            student = hetero.train_student(data, cloud, config, shape, Path(place), seed=seed)
        answers = hetero.metrics.evaluate_tasks(
            hetero.embed_images(student, test.images), gallery, np.asarray(test.labels), tasks
        )
        result[bank] = {metric: answers.per_query(metric)[0] for metric in METRICS}
    return result


def compare(objective: str, seeds: list[int], steps: int) -> list[dict[str, str]]:
    """One row a metric and a group of classes."""
    results = [figures(objective, seed, steps) for seed in seeds]
    labels = np.repeat(np.arange(CLASSES), 20)
    groups = {
        "all": np.ones(len(labels), bool),
        "outside": np.isin(labels, OUTSIDE),
        "inside": ~np.isin(labels, OUTSIDE),
    }
    table: list[dict[str, str]] = []
    for metric in METRICS:
        for group, chosen in groups.items():
            sides = {bank: [one[bank][metric][chosen] for one in results] for bank in ("cloud", "front", "drawn")}
            means = {bank: np.mean(side, axis=0) for bank, side in sides.items()}
            change = difference_interval(means["drawn"], means["front"], clusters=labels[chosen])
            row = {bank: spread([float(values.mean()) for values in side]) for bank, side in sides.items()}
            difference = f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
            table.append({"objective": objective, "metric": metric, "classes": group} | row | {"change": difference})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--objectives", nargs="+", choices=list(OBJECTIVES), default=list(OBJECTIVES))
    options = parser.parse_args()
    started = time.process_time()
    for objective in options.objectives:
        for row in compare(objective, options.seeds, options.steps):
            print(json.dumps(row), flush=True)
    print(json.dumps(where_and_when() | vars(options) | {"cpu_seconds": round(time.process_time() - started)}))


if __name__ == "__main__":
    main()
