"""What becomes of a solved change: added to the weights, measured, and written if the figures allow it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hetero.data.images import Dataset, ImageSet
from hetero.files import read_json, sha256_file
from hetero.linear.config import AdaptConfig
from hetero.linear.fit import Fit, linear_vectors
from hetero.linear.gallery import OldGallery
from hetero.linear.learnt import LEARNT, Learnt
from hetero.linear.measure import RECORD, Adaptation, Change, flips_between
from hetero.linear.parts import Divided
from hetero.linear.solver.linearised import Linearised
from hetero.metrics.flips import RANK_ONE
from hetero.metrics.retrieval import TaskResult
from hetero.models.cost import cost
from hetero.models.directory import MIRRORS, PROTOTYPES, save_model
from hetero.models.model import EmbeddingModel


class Test:
    """Test images as queries to the gallery.

    Args:
        gallery: Is searched.
        what: Label of a progress bar.
        images: The queries.
        own: As for :meth:`hetero.linear.gallery.OldGallery.search`.

    Raises:
        InputError: When there is nothing to search for.
    """

    def __init__(self, gallery: OldGallery, what: str, images: ImageSet, *, own: bool) -> None:
        self.gallery, self.what, self.images, self.own = gallery, what, images, own
        self.rows = gallery.answerable(images, own=own)

    def answered(self, vectors: NDArray[np.float32]) -> TaskResult:
        """Measure vectors [n, d] of all images."""
        return self.gallery.search(self.images, vectors, self.rows, own=self.own)


def tests_of(new: Dataset, old: Dataset, gallery: OldGallery) -> tuple[Test, Test]:
    """What an adaptation is measured on: queries of the new domain, and of the old one.

    Raises:
        InputError: When there is nothing to measure.
    """
    return Test(gallery, "new queries", new.test, own=False), Test(gallery, "old queries", old.test, own=True)


def added(
    parts: Divided, found: Fit, tests: tuple[Test, Test], config: AdaptConfig, *, images: int, anchors: int
) -> Adaptation:
    """Add a change to a model's weights, and measure the model before and after.

    Args:
        parts: The model; it is another one afterwards.
        found: The change.
        tests: Of :func:`tests_of`.
        config: What must be kept.
        images: How many were learnt from.
        anchors: How many old images there were.
    """
    model = parts.model
    seen = [parts.inputs(test.images.images, progress=test.what) for test in tests]
    before_new, before_old = _answered(parts, tests, seen)
    linear = tests[0].answered(linear_vectors(found.model, seen[0], found.solution.change))
    _add(model, found)
    after_new, after_old = _answered(parts, tests, seen)
    return Adaptation(
        space=tests[0].gallery.space.space_id,
        new=Change.between(before_new, after_new, seed=config.seed),
        old=Change.between(before_old, after_old, seed=config.seed),
        flips=flips_between(before_old, after_old, seed=config.seed),
        linear=linear.mean(RANK_ONE),
        part=config.part,
        anchors=anchors if config.anchor_weight else 0,
        anchor_weight=config.anchor_weight,
        images=images,
        ridge=found.ridge,
        steps=found.solution.steps,
        residual=found.solution.residual,
        moved=found.moved,
        most_flips=config.most_flips,
        most_lost=config.most_lost,
    )


def write(
    out: Path, before: Path, model: EmbeddingModel, measured: Adaptation, learnt: Learnt, *, refused: bool = False
) -> None:
    """Write the records, and the model in its old space if they allow it: no model ever stands without its figures.

    Args:
        out: The new directory.
        before: Of the model before.
        model: With the change in its weights.
        measured: The figures.
        learnt: What it was solved from.
        refused: True if something else than the figures speaks against the model.
    """
    measured.save(out / RECORD)
    learnt.save(out / LEARNT)
    if measured.refusals or refused:
        return
    if (before / PROTOTYPES).is_file():
        shutil.copyfile(before / PROTOTYPES, out / PROTOTYPES)
    origin = {"adapted_from": sha256_file(before / "model.safetensors")}
    kept = {name: value for name, value in metrics_of(before).items() if name == MIRRORS}
    save_model(out, model, {**origin, **kept, **dataclasses.asdict(cost(model))})


def metrics_of(directory: Path) -> dict[str, Any]:
    """What a model directory says of the model's making; empty when it says nothing."""
    path = directory / "metrics.json"
    return read_json(path) if path.is_file() else {}


def _answered(parts: Divided, tests: Sequence[Test], seen: Sequence[Tensor]) -> list[TaskResult]:
    """Measure the model as it is, from what its upper part sees."""
    upper = Linearised(parts.upper)
    return [test.answered(upper.origin(inputs).numpy()) for test, inputs in zip(tests, seen, strict=True)]


def _add(model: EmbeddingModel, found: Fit) -> None:
    """Add the change to the model's weights."""
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, change in found.model.parts(found.solution.change).items():
            weights[name].add_(change)
