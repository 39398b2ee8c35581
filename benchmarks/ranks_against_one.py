"""Do several processes take the steps of one? Per-step losses and final weights under ``torchrun``, beside one process.

    OMP_NUM_THREADS=1 python -m benchmarks.ranks_against_one --steps 50

A cloud model by the default objective and a student by the default objective and architecture, without augmentation, on
noise of 12 classes at 32 px: two processes with 6 classes of 2 images a batch, three with 7 of 3 (2, 2 and 3 classes),
four with 8 of 2.

In float64 the two must be equal. In float32 each rounds its sums otherwise, and AdamW turns the rounding of gradients
that are zero (of the shift of a batch norm that another one follows) into steps of full length. ``--threads 2``
compares with one process of two threads instead of with several processes: it rounds otherwise, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

import hetero
from benchmarks.machine import where_and_when
from hetero import Dataset, ImageSet
from hetero.metrics import RetrievalTask
from hetero.training.loop import loop
from hetero.training.reference.cloud_reference import class_means

CLASSES, SIDE, DIMENSION = 12, 32, 128
PLACES = {2: (6, 2), 3: (7, 3), 4: (8, 2)}
"""Processes: classes and images of each in a batch."""
NO_CHANGE = hetero.AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)
SHAPE = hetero.Preprocessing(height=SIDE, width=SIDE)


def image_set(name: str, each: int, seed: int) -> ImageSet:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), each)
    colours = np.random.default_rng(9).integers(60, 196, (CLASSES, 1, 1, 3))
    pixels = colours[labels] + generator.integers(-60, 60, (len(labels), SIDE, SIDE, 3))
    names = tuple(f"{name}/{row}" for row in range(len(labels)))
    classes = tuple(str(label) for label in range(CLASSES))
    views = np.zeros(len(labels), np.int64)
    return ImageSet(pixels.astype(np.uint8), labels, classes, views, ("all",), names, name)


def dataset() -> Dataset:
    rows = np.arange(2 * CLASSES)
    task = (RetrievalTask("all", rows, rows, exclude_self=True),)
    return Dataset("noise", image_set("t", 6, 0), image_set("v", 2, 1), image_set("e", 2, 2), task, task, "noise")


def reference(data: Dataset, precision: type[np.floating]) -> hetero.CloudReference:
    """A cloud that knows the classes."""
    labels, generator = np.asarray(data.train.labels), np.random.default_rng(5)
    vectors = generator.normal(size=(CLASSES, DIMENSION))[labels] + 0.7 * generator.normal(
        size=(len(labels), DIMENSION)
    )
    vectors: NDArray[np.floating] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(precision)
    space = hetero.EmbeddingSpace.define(defined_by="noise", name="noise", version="1", dimension=DIMENSION)
    return hetero.CloudReference(space, vectors, class_means(vectors, labels, CLASSES).astype(precision), None)


def train(out: Path, what: str, ranks: int, steps: int, precision: str, threads: int) -> None:
    """What each process does."""
    loop.LOG_EVERY = 1
    classes, images = PLACES[ranks]
    training = hetero.TrainingConfig(
        steps=steps,
        optimizer="adamw",
        classes_per_batch=classes,
        images_per_class=images,
        validate_every=steps,
        threads=threads,
        augment=NO_CHANGE,
    )
    if precision == "float64":
        # No recipe may ask for it: models are saved and exported in float32.
        object.__setattr__(training, "precision", "64-true")
    data = dataset()
    if what == "cloud":
        hetero.train_cloud(data, hetero.CloudConfig(training=training), SHAPE, out)
    else:
        cloud = reference(data, np.float64 if precision == "float64" else np.float32)
        hetero.train_student(data, cloud, hetero.StudentConfig("student", training=training), SHAPE, out)


def launched(out: Path, arguments: list[str], processes: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The losses and weights of one training."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *start, "-m", "benchmarks.ranks_against_one", *arguments, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr[-4000:])
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line], load_file(out / "model.safetensors")


def compare(what: str, ranks: int, steps: int, precision: str, *, threads: int = 1) -> dict[str, Any]:
    """The largest differences of losses and weights from one process with one thread.

    Args:
        what: ``cloud`` or ``student``.
        ranks: Whose batches: those of two processes or of three.
        steps: Of training.
        precision: ``float32`` or ``float64``.
        threads: More than one compares with one process of so many threads instead of with ``ranks`` processes.
    """
    arguments = ["--what", what, "--ranks", str(ranks), "--steps", str(steps), "--precision", precision]
    with tempfile.TemporaryDirectory() as place:
        several = [*arguments, "--threads", str(threads)]
        losses, weights = launched(Path(place, "several"), several, 1 if threads > 1 else ranks)
        expected, alone = launched(Path(place, "one"), arguments, 1)
    assert len(losses) == len(expected) == steps
    differences = {name: float((weights[name] - alone[name]).abs().max()) for name in alone}
    return {
        "what": what,
        "processes": ranks if threads == 1 else f"1 of {threads} threads",
        "batch": "{} classes of {}".format(*PLACES[ranks]),
        "precision": precision,
        "first loss": expected[0],
        "last loss": expected[-1],
        "largest difference of a loss": max(abs(a - b) for a, b in zip(losses, expected, strict=True)),
        "of a weight": max(differences.values()),
        "tensors": len(differences),
        "beyond 1e-4": [name for name, difference in differences.items() if difference > 1e-4],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--what", choices=["cloud", "student"])
    parser.add_argument("--ranks", type=int, choices=list(PLACES))
    parser.add_argument("--precision", choices=["float32", "float64"], default="float64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="train only, to there")
    options = parser.parse_args()
    if options.out:
        train(options.out, options.what, options.ranks, options.steps, options.precision, options.threads)
        return
    for what in [options.what] if options.what else ["cloud", "student"]:
        for ranks in [options.ranks] if options.ranks else PLACES:
            row = compare(what, ranks, options.steps, options.precision, threads=options.threads)
            print(json.dumps(row), flush=True)
    print(json.dumps(where_and_when()))


if __name__ == "__main__":
    main()
