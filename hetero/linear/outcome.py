"""The outcome of a solved change: it is added to the weights, measured, and written if the figures allow it."""

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
        gallery: The gallery to search.
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
        """Measure the answers of vectors [n, d] of all images."""
        return self.gallery.search(self.images, vectors, self.rows, own=self.own)


def tests_of(new: Dataset, old: Dataset, gallery: OldGallery) -> tuple[Test, Test]:
    """Return the tests of an adaptation: queries of the new domain, and of the old one.

    Raises:
        InputError: When there is nothing to measure.
    """
    return Test(gallery, "new queries", new.test, own=False), Test(gallery, "old queries", old.test, own=True)


def added(parts: Divided, solved: Fit, tests: tuple[Test, Test], config: AdaptConfig) -> Adaptation:
    """Add a change to a model's weights, and measure the model before and after.

    Args:
        parts: The model; its weights change.
        solved: The change.
        tests: The tests of :func:`tests_of`.
        config: Limits on the loss.
    """
    model, problem = parts.model, solved.problem
    inputs = [parts.inputs(test.images.images, progress=test.what) for test in tests]
    before_new, before_old = _answered(parts, tests, inputs)
    linear = tests[0].answered(linear_vectors(problem.model, inputs[0], solved.solution.change))
    _add(model, solved)
    after_new, after_old = _answered(parts, tests, inputs)
    return Adaptation(
        space=tests[0].gallery.space.space_id,
        new=Change.between(before_new, after_new, seed=config.seed),
        old=Change.between(before_old, after_old, seed=config.seed),
        flips=flips_between(before_old, after_old, seed=config.seed),
        linear=linear.mean(RANK_ONE),
        part=config.part,
        anchors=problem.anchored,
        anchor_weight=config.anchor_weight,
        images=len(problem.inputs),
        ridge=solved.ridge,
        steps=solved.solution.steps,
        residual=solved.solution.residual,
        moved=solved.moved,
        most_flips=config.most_flips,
        most_lost=config.most_lost,
        by_factors=problem.held is not None,
    )


def write(
    out: Path, before: Path, model: EmbeddingModel, measured: Adaptation, learnt: Learnt, *, refused: bool = False
) -> None:
    """Write the records, and then the model in its old space if they allow it: no model is stored without figures.

    Args:
        out: The new directory.
        before: Directory of the model before.
        model: The model with the change in its weights.
        measured: The figures.
        learnt: The record of its inputs.
        refused: True if the model is refused for another reason than its figures.
    """
    measured.save(out / RECORD)
    learnt.save(out / LEARNT)
    if measured.refusals or refused:
        return
    if (before / PROTOTYPES).is_file():
        shutil.copyfile(before / PROTOTYPES, out / PROTOTYPES)
    origin = {"adapted_from": sha256_file(before / "model.safetensors")}
    mirrors = {name: value for name, value in metrics_of(before).items() if name == MIRRORS}
    save_model(out, model, {**origin, **mirrors, **dataclasses.asdict(cost(model))})


def metrics_of(directory: Path) -> dict[str, Any]:
    """Read the metrics of a model directory; empty when it has none."""
    path = directory / "metrics.json"
    return read_json(path) if path.is_file() else {}


def _answered(parts: Divided, tests: Sequence[Test], inputs: Sequence[Tensor]) -> list[TaskResult]:
    """Measure the present model, from the inputs of its upper part."""
    upper = Linearised(parts.upper)
    return [test.answered(upper.origin(images).numpy()) for test, images in zip(tests, inputs, strict=True)]


def _add(model: EmbeddingModel, solved: Fit) -> None:
    """Add the change to the model's weights."""
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, change in solved.problem.model.parts(solved.solution.change).items():
            weights[name].add_(change)
