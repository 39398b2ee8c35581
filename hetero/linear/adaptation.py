"""Adapt a model to a new domain inside its old space; the outcome is an ordinary model directory, or a refusal."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.data.images import Dataset, ImageSet
from hetero.errors import InputError
from hetero.evaluation.flips import RANK_ONE
from hetero.evaluation.retrieval import TaskResult
from hetero.files import read_json, sha256_file
from hetero.linear.config import AdaptConfig, Part
from hetero.linear.fit import Fit, fit, linear_vectors
from hetero.linear.gallery import OldGallery
from hetero.linear.measure import RECORD, Adaptation, Change, flips_between
from hetero.linear.parts import Divided, divided
from hetero.models.cost import cost
from hetero.models.directory import PROTOTYPES, load_model, save_model
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.training.cloud_reference import MIRRORS


def adapt(
    model: Path,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    directory: Path,
    config: AdaptConfig = AdaptConfig(),  # noqa: B008 - frozen
) -> Adaptation:
    """Fit a model to a new domain so that its queries go on searching the old gallery, and measure that they do.

    The model is taken as linear around its weights, and the change of the weights solves a convex problem: new images
    move to the gallery's vectors of the same item (or to the middle of their class), old images stay where they are.
    The change is then added to the weights. What it costs is measured on test images; the adapted model is written,
    in the same space, only if new queries are shown to find more and old queries to lose little.

    Args:
        model: A model directory, of a cloud model or a student.
        new: The new domain. Training images are learnt from, validation chooses the ridge, test gives the figures.
        old: The old domain. Training images are the anchors; validation and test as for ``new``.
        gallery: Of the model's space. It stays as it is.
        directory: The adapted model's; ``adapt.json`` in it has the figures, and is all of it after a refusal.
        config: How, and what must be kept.

    Returns:
        The figures; the model was written if there are no ``refusals``.

    Raises:
        InputError: When the model was fine-tuned for int8, images have no target, or there is nothing to measure.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    parts = suited(model, gallery, directory, config.part)
    loaded = parts.model
    new, old = (data.prepared_by(loaded.preprocessing) for data in (new, old))
    tests = [_Test(gallery, "new queries", new.test, own=False), _Test(gallery, "old queries", old.test, own=True)]
    found = fit(parts, new, old, gallery, config)
    before_new, before_old = (test.answered_by(loaded) for test in tests)
    linear = tests[0].answered(_linear(parts, found, new.test))
    _add(loaded, found)
    after_new, after_old = (test.answered_by(loaded) for test in tests)
    measured = Adaptation(
        space=gallery.space.space_id,
        new=Change.between(before_new, after_new, seed=config.seed),
        old=Change.between(before_old, after_old, seed=config.seed),
        flips=flips_between(before_old, after_old, seed=config.seed),
        linear=linear.mean(RANK_ONE),
        part=config.part,
        anchors=len(old.train) if config.anchor_weight else 0,
        anchor_weight=config.anchor_weight,
        images=len(new.train),
        ridge=found.ridge,
        steps=found.solution.steps,
        residual=found.solution.residual,
        moved=found.moved,
        most_flips=config.most_flips,
        most_lost=config.most_lost,
    )
    _write(directory, model, loaded, measured)
    return measured


class _Test:
    """Test images as queries to the gallery."""

    def __init__(self, gallery: OldGallery, what: str, images: ImageSet, *, own: bool) -> None:
        self.gallery, self.what, self.images, self.own = gallery, what, images, own
        self.rows = gallery.answerable(images, own=own)

    def answered_by(self, model: EmbeddingModel) -> TaskResult:
        return self.answered(embed_images(model, self.images.images, progress=self.what))

    def answered(self, vectors: NDArray[np.float32]) -> TaskResult:
        return self.gallery.search(self.images, vectors, self.rows, own=self.own)


def suited(directory: Path, gallery: OldGallery, out: Path, part: Part) -> Divided:
    """Load a model and divide it, if it can be adapted for this gallery and there is a place to write it to.

    Args:
        directory: Of the model.
        gallery: Of its space.
        out: Where the adapted model will go.
        part: What may change.

    Raises:
        InputError: When the model was fine-tuned for int8 or has no such part, or ``out`` holds a model.
        SpaceMismatchError: When the gallery is of another space.
    """
    if (out / "config.json").exists():
        raise InputError(f"{out} holds a model already; give another folder for the adapted one")
    model = load_model(directory)
    if _metrics(directory).get("tuned_for") == "int8":
        raise InputError(
            f"{directory} was fine-tuned for int8: its weights stand where rounding wants them, and a change of them "
            "undoes that; adapt the model that it was tuned from, then tune the adapted one"
        )
    assert model.space is not None
    model.space.require_same(gallery.space, this=f"the model {model.name}", that="the gallery")
    return divided(model, part)


def _linear(parts: Divided, found: Fit, images: ImageSet) -> Float32[NDArray[np.float32], "n d"]:
    inputs = parts.inputs(images.images, progress="linear model")
    return linear_vectors(found.model, inputs, found.solution.change)


def _add(model: EmbeddingModel, found: Fit) -> None:
    """Add the change to the model's weights."""
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, change in found.model.parts(found.solution.change).items():
            weights[name].add_(change)


def _write(out: Path, before: Path, model: EmbeddingModel, measured: Adaptation) -> None:
    """The figures, and the model in its old space if they allow it: no model ever stands without its figures."""
    measured.save(out / RECORD)
    if measured.refusals:
        return
    if (before / PROTOTYPES).is_file():
        shutil.copyfile(before / PROTOTYPES, out / PROTOTYPES)
    origin = {"adapted_from": sha256_file(before / "model.safetensors")}
    kept = {name: value for name, value in _metrics(before).items() if name == MIRRORS}
    save_model(out, model, {**origin, **kept, **dataclasses.asdict(cost(model))})


def _metrics(directory: Path) -> dict[str, Any]:
    path = directory / "metrics.json"
    return read_json(path) if path.is_file() else {}
