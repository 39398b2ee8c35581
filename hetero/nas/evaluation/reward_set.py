"""The images that candidates are judged on: validation images, distractors, and training images for batch norm.

A few held-out classes alone are too easy: on 60 of them good candidates tie. Training images of other classes are
therefore added to the galleries (:mod:`hetero.data.distractors`), but not all of them: for M(a, a) the candidate itself
must embed them. The cloud's gallery holds the same images, so that M(a, a) and M(a, g) differ only in the model that
embedded it. Tasks between two views are searched both ways, which costs no further image.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hetero.data.augmentation.copies import sources_of
from hetero.data.distractors import with_distractors
from hetero.data.images import Dataset, ImageSet
from hetero.data.subset import with_rows
from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json, write_bytes
from hetero.metrics.task import RetrievalTask, both_ways
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.seeds import seed_of


@dataclass(frozen=True)
class RewardSet:
    """Images of validation classes, and training images; no test image is ever among them.

    Attributes:
        calibration: uint8 [c, h, w, 3], training images for batch-norm statistics.
        images: uint8 [m, h, w, 3], validation images followed by distractors.
        labels: int64 [m]; no distractor has a validation class.
        gallery: float32 [m, d], the cloud's unit vectors of the images.
        tasks: Rows of the images; the queries are validation images.
    """

    calibration: UInt8[np.ndarray, "c h w 3"]
    images: UInt8[np.ndarray, "m h w 3"]
    labels: Int64[np.ndarray, " m"]
    gallery: Float32[np.ndarray, "m d"]
    tasks: tuple[RetrievalTask, ...]

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        cloud: CloudReference,
        *,
        calibration: int,
        validation: int,
        distractors: int,
        seed: int = 0,
    ) -> RewardSet:
        """Draw images from a data set.

        Args:
            dataset: Provides training and validation images and the validation tasks.
            cloud: Must hold the cloud's vectors of the validation images.
            calibration: Most training images for batch norm; drawn uniformly from all.
            validation: Most validation images; whole classes in random order as long as they fit, at least one.
            distractors: Most training images added to the galleries; drawn uniformly from unchanged images in the
                galleries' views whose classes are not validation's.
            seed: Decides the draws.

        Raises:
            InputError: When the cloud's vectors of the validation images are not known.
        """
        if cloud.validation is None:
            raise InputError(
                "a search judges candidates against the cloud's gallery: its vectors of the validation images are "
                "missing; add them to the file of embeddings"
            )
        rng = np.random.default_rng(seed_of("reward set", seed))
        for_norms = np.sort(rng.permutation(len(dataset.train))[:calibration])
        mask = _whole_classes(np.asarray(dataset.validation.labels), validation, rng)
        rows = np.flatnonzero(mask)
        directions = both_ways(dataset.validation_tasks, np.asarray(dataset.validation.labels))
        tasks = [limited for task in directions if len((limited := _limited(task, mask)).query)]
        queries = with_rows(dataset.validation, rows)
        eligible = _may_distract(tasks, queries, dataset.train)
        extra = np.sort(rng.permutation(eligible)[:distractors])
        joined, labels = with_distractors(tasks, queries, with_rows(dataset.train, extra))
        return cls(
            np.asarray(dataset.train.images[for_norms]),
            np.concatenate([dataset.validation.images[rows], dataset.train.images[extra]]),
            labels,
            np.concatenate([cloud.validation[rows], cloud.train[extra]]),
            joined,
        )

    def save(self, path: Path) -> None:
        """Write one safetensors file; equal sets give equal bytes."""
        arrays = {
            "calibration": self.calibration,
            "images": self.images,
            "labels": self.labels,
            "gallery": self.gallery,
        }
        for index, task in enumerate(self.tasks):
            arrays |= {f"task.{index}.query": task.query, f"task.{index}.gallery": task.gallery}
        tasks = [{"name": task.name, "exclude_self": task.exclude_self} for task in self.tasks]
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_bytes(path, save(contiguous, metadata={"tasks": canonical_json(tasks)}))

    @classmethod
    def load(cls, path: Path) -> RewardSet:
        """Read a file that :meth:`save` wrote.

        Raises:
            IntegrityError: When the file is missing or damaged.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                descriptions = json.loads(file.metadata()["tasks"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            tasks = [
                RetrievalTask(
                    task["name"], arrays[f"task.{i}.query"], arrays[f"task.{i}.gallery"], task["exclude_self"]
                )
                for i, task in enumerate(descriptions)
            ]
            names = ("calibration", "images", "labels", "gallery")
            return cls(*(arrays[name] for name in names), tasks=tuple(tasks))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"{path} is not a readable set of images to judge on ({error})") from None


def _whole_classes(labels: Int64[np.ndarray, " n"], most: int, rng: np.random.Generator) -> Bool[np.ndarray, " n"]:
    classes, sizes = np.unique(labels, return_counts=True)
    order = rng.permutation(len(classes))
    fits = np.cumsum(sizes[order]) <= most
    fits[0] = True
    return np.isin(labels, classes[order[fits]])


def _limited(task: RetrievalTask, mask: Bool[np.ndarray, " n"]) -> RetrievalTask:
    number = np.cumsum(mask) - 1
    query, gallery = (number[rows[mask[rows]]] for rows in (task.query, task.gallery))
    return RetrievalTask(task.name, query, gallery, task.exclude_self)


def _may_distract(tasks: Sequence[RetrievalTask], queries: ImageSet, train: ImageSet) -> Int64[np.ndarray, " n"]:
    """Return the rows of the training images that could join some task's gallery, without changed copies."""
    joined, _ = with_distractors(tasks, queries, train)
    rows = np.unique(np.concatenate([task.gallery[task.gallery >= len(queries)] for task in joined])) - len(queries)
    return rows[sources_of(train.names)[rows] == rows]
