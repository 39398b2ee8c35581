"""What a student's training costs before and beside its steps, with many images and many classes.

    python -m benchmarks.large_training --images 1000000 --classes 100000

Pixels are made up when they are read, and the cloud's vectors lie in shards: nothing else grows with the images. Each
stage runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import peak_resident_bytes, where_and_when
from hetero import (
    CloudReference,
    Dataset,
    EmbeddingSpace,
    ImageSet,
    ModelConfig,
    ObjectiveConfig,
    Preprocessing,
    Stage,
    StudentConfig,
    TrainingConfig,
    load_embeddings,
    train_student,
)
from hetero.data.augmentation.copies import sources_of
from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.data.embeddings.shards_writing import begin, write_shard
from hetero.metrics import RetrievalTask
from hetero.training.batches.sampling import sampler_of
from hetero.training.judging.validation import validation
from hetero.training.reference.bank import bank_rows
from hetero.training.reference.cloud_reference import class_means
from hetero.training.reference.cloud_tensors import cloud_tensors

SIDE = 16
STEPS = 60
HELD_OUT = 2000
STAGES = ("names", "sampler", "sampler_images", "bank", "whole", "class_means", "tensors", "validate", "train")
EDGE = ModelConfig(dimension=64, stem_channels=8, stages=(Stage(channels=16, stride=2),))


class Noise:
    """Images that follow from their row."""

    def __init__(self, count: int) -> None:
        self.shape = (count, SIDE, SIDE, 3)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        count = len(np.arange(len(self))[rows]) if isinstance(rows, slice) else len(rows)
        return np.random.default_rng(count).integers(0, 256, (count, *self.shape[1:]), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--classes", type=int, default=100_000)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figures: dict[str, Any] = {"seed": options.seed, "classes": options.classes, **where_and_when()}
    with tempfile.TemporaryDirectory() as place:
        for images in options.images:
            folder = Path(place) / str(images)
            _alone(_write, folder, images, options.dtype, options.seed)
            data = _dataset(images, options.classes, options.seed)
            figures[str(images)] = {stage: _alone(_measured, stage, folder, data, options.seed) for stage in STAGES}
    print(json.dumps(figures, indent=2))


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own, which starts with what this one has loaded."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(function(*arguments)))
    process.start()
    result = results.get()
    process.join()
    return result


def _write(folder: Path, images: int, dtype: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    space = EmbeddingSpace.define(defined_by="noise", name="noise", version="1", dimension=EDGE.dimension)
    entry = ShardsRecord(images + HELD_OUT, 8192, dtype, space, model="noise", data=str(images), batch_size=256)  # pyright: ignore
    names = [*_names("train", images), *_names("validation", HELD_OUT)]
    for start in begin(folder, entry):
        stop = entry.stop(start)
        vectors = generator.standard_normal((stop - start, EDGE.dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        write_shard(folder, entry, start, vectors, names[start:stop])


def _names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}/{row:09}.jpg" for row in range(count))


def _dataset(images: int, classes: int, seed: int) -> Dataset:
    labels = np.random.default_rng(seed).permutation(np.arange(images) % min(classes, images // 2))

    def part(prefix: str, labels: np.ndarray) -> ImageSet:
        views, names = np.zeros(len(labels), np.int64), _names(prefix, len(labels))
        classes = tuple(map(str, range(int(labels.max()) + 1)))
        return ImageSet(Noise(len(labels)), labels, classes, views, ("all",), names, prefix, Preprocessing(SIDE, SIDE))

    held_out = part("validation", np.arange(HELD_OUT) // 2)
    rows = np.arange(HELD_OUT)
    tasks = (RetrievalTask("all", rows, rows, exclude_self=True),)
    return Dataset("noise", part("train", labels), held_out, held_out, tasks, tasks, f"noise {images}")


def _measured(stage: str, folder: Path, data: Dataset, seed: int) -> dict[str, Any]:
    images, labels, classes = len(data.train), np.asarray(data.train.labels), len(data.train.classes)
    before = peak_resident_bytes()
    further: dict[str, Any] = {}

    def reference() -> CloudReference:
        return CloudReference.from_file(folder, data)

    def sample(config: TrainingConfig, by_class: bool) -> None:
        sampler = sampler_of(config, labels, np.arange(images), by_class=by_class, seed=seed)
        sampler.batch(0)
        start = time.process_time()
        for step in range(1, 201):
            sampler.batch(step)
        further["ms_per_batch"] = round((time.process_time() - start) * 5, 4)
        further["batch"] = sampler.batch_size

    def train() -> None:
        cloud, seconds = reference(), list[float]()
        for steps in (STEPS, 3 * STEPS):
            training = TrainingConfig(steps=steps, validate_every=steps, checkpoint_every=steps, batch=128, threads=1)
            terms = (ObjectiveConfig("cloud_regression"),)
            config = StudentConfig("edge", model=EDGE, training=training, objectives=terms)
            start = time.process_time()
            with tempfile.TemporaryDirectory() as place:
                train_student(data, cloud, config, Preprocessing(SIDE, SIDE), Path(place), seed=seed)
            seconds.append(time.process_time() - start)
        # What both have in common, before and after the steps, is not in the difference.
        further["cpu_ms_per_step"] = round(1e3 * (seconds[1] - seconds[0]) / (2 * STEPS), 2)

    stages: dict[str, Callable[[], object]] = {
        "names": lambda: load_embeddings(folder).rows_of(data.train.names),
        "sampler": lambda: sample(TrainingConfig(), True),
        "sampler_images": lambda: sample(TrainingConfig(batch=1024), False),
        "bank": lambda: bank_rows(labels, sources_of(data.train.names), seed=seed, classes=classes),
        "whole": lambda: load_embeddings(folder).require_whole(),
        "class_means": lambda: class_means(load_embeddings(folder).mapped(np.arange(images)), labels, classes),
        "tensors": lambda: cloud_tensors(reference(), data, who="edge", seed=seed),
        "validate": lambda: validation(data, reference()),
        "train": train,
    }
    wall, cpu = time.perf_counter(), time.process_time()
    stages[stage]()
    return {
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": round(peak_resident_bytes() / 1e6),
        "peak_before_mb": round(before / 1e6),
        **further,
    }


if __name__ == "__main__":
    main()
