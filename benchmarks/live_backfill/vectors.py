"""The gallery's vectors by both models, and the students' queries."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

import hetero
from benchmarks.upgrade import PREPROCESSING, configs, upgraded
from hetero.data.subset import with_classes, with_rows

COPIES = 13
RESERVE = 400
"""Items that come while the backfill runs."""
EDGE = hetero.StudentConfig(
    name="edge",
    model=hetero.ModelConfig(stem_channels=8),
    training=hetero.TrainingConfig(
        steps=400, optimizer="adamw", classes_per_batch=24, threads=1, validate_every=100, checkpoint_every=100
    ),
)


def train(root: Path, seed: int) -> hetero.Dataset:
    """Train v1, v2 and a student of each, where they are not there yet."""
    images = hetero.prepare(hetero.DataConfig(kind="emoji", validation_classes=60), PREPROCESSING)
    nets = configs(1.0)
    if not (root / "v1" / "config.json").is_file():
        half = with_classes(images, images.train.classes[::2])
        hetero.train_cloud(half, nets["v1"], PREPROCESSING, root / "v1", seed=seed)
    upgrade = upgraded(images, root / "v1", nets["v2"], root / "v2", seed, control=False)
    if upgrade.status != "holds":
        raise SystemExit(f"the criterion of {root / 'v2'}: {upgrade.status}")
    for name in ("v1", "v2"):
        if not (root / f"edge-{name}" / "config.json").is_file():
            cloud = hetero.CloudReference.from_model(root / name, images)
            hetero.train_student(images, cloud, EDGE, PREPROCESSING, root / f"edge-{name}", seed=seed)
    return images


def write(root: Path, folder: Path, count: int, seed: int) -> None:
    """Write the vectors of ``count`` items and of some more, those of the queries, and a table of classes."""
    if (folder / "labels.csv").is_file():
        return
    images = train(root, seed)
    v1, v2, edge1, edge2 = (hetero.load_model(root / name) for name in ("v1", "v2", "edge-v1", "edge-v2"))
    folder.mkdir(parents=True, exist_ok=True)
    asked = np.unique(images.test_tasks[0].query)
    queries = with_rows(images.test, asked)
    parts = _items(images, asked, count + RESERVE, seed)
    names = [name for part in parts for name in part.names]
    for file, model in (("old", v1), ("new", v2)):
        vectors = [hetero.embed_images(model, part.images, progress=file) for part in parts]
        hetero.save_embeddings(folder / f"{file}.safetensors", np.concatenate(vectors), names, _space(model))
    for file, model in (("old-queries", edge1), ("new-queries", edge2)):
        vectors = hetero.embed_images(model, queries.images)
        hetero.save_embeddings(folder / f"{file}.safetensors", vectors, queries.names, _space(model))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["label", "path"])
        for part in (queries, *parts):
            table.writerows(zip((part.classes[label] for label in part.labels), part.names, strict=True))


def _items(images: hetero.Dataset, asked: np.ndarray, count: int, seed: int) -> list[hetero.ImageSet]:
    """The queries' designs in other fonts, whatever the size; then other emoji, and changed copies of all of them."""
    rest = with_rows(images.test, np.setdiff1d(np.arange(len(images.test)), asked))
    parts, left = list[hetero.ImageSet](), count
    for part in (rest, images.validation, images.train):
        copied = hetero.with_copies(part, COPIES, hetero.AugmentConfig(), seed=seed, held_gb=0.0)
        # Originals come first in a set with copies, and all of them are taken before any copy is.
        parts.append(with_rows(copied, np.arange(min(left, len(copied)))))
        left -= len(parts[-1])
    if left:
        raise SystemExit(f"there are {count - left} images, {count} are needed")
    return parts


def _space(model: hetero.EmbeddingModel) -> hetero.EmbeddingSpace:
    assert model.space is not None
    return model.space
