"""What the benchmarks of linear adaptation start from: a cloud model, a new domain, anchors, and the old gallery.

The demo's cloud model is trained on openmoji and noto alone. The new domain is line drawings of some training emoji,
whose targets are their noto vectors; anchors are openmoji drawings of as many others, held where they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import hetero
from hetero import Dataset, EmbeddingModel, ImageSet, Recipe
from hetero.data.images import Images
from hetero.data.subset import with_rows
from hetero.linear import AdaptConfig, Linearised, OldGallery, Problem, divided
from hetero.linear.fit import linear_vectors
from hetero.linear.parts import Divided
from hetero.metrics import TaskResult
from hetero.pipeline.draft import built_in

Altered = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def turned(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Upside down, in opposite colours."""
    return 255 - np.rot90(images, 2, axes=(1, 2))


def scrambled(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squares of an eighth of the side, in another order: drawings of a wholly different look."""
    count, side = len(images), images.shape[1] // 8
    squares = images.reshape(count, 8, side, 8, side, 3).swapaxes(2, 3).reshape(count, 64, side, side, 3)
    squares = squares[:, np.random.default_rng(0).permutation(64)].reshape(count, 8, 8, side, side, 3)
    return squares.swapaxes(2, 3).reshape(images.shape)


SHIFTS: dict[str, Altered | None] = {"line": None, "turned": turned, "scrambled": scrambled}


@dataclass(frozen=True)
class _Kept(Divided):
    """A divided model that computes what its upper part takes of a set of images once, for all methods."""

    kept: dict[int, tuple[Images, Tensor]] = field(default_factory=dict)

    def inputs(self, images: Images, *, batch_size: int = 256, progress: str = "") -> Tensor:
        if id(images) not in self.kept:
            seen = super().inputs(images, batch_size=batch_size, progress=progress)
            # The images stay alive, so that no others are given their id.
            self.kept[id(images)] = images, seen
        return self.kept[id(images)][1]


@dataclass(frozen=True)
class Setting:
    """One cloud model and one draw of new images and anchors."""

    parts: Divided
    model: Linearised
    gallery: OldGallery
    new: Dataset
    old: Dataset
    config: AdaptConfig

    @classmethod
    def of(
        cls,
        model: EmbeddingModel,
        emoji: Dataset,
        gallery: OldGallery,
        count: int,
        subset: int,
        config: AdaptConfig,
        altered: Altered | None = None,
    ) -> Setting:
        """Draw training emoji for the new domain and, others, for the anchors."""
        drawn = np.random.default_rng(subset).permutation(len(emoji.train.classes))
        new = _domain(emoji, "line", drawn[:count], altered)
        old = _domain(emoji, "openmoji", drawn[count : 2 * count])
        parts = _Kept(**vars(divided(model, config.part)))
        return cls(parts, Linearised(parts.upper), gallery, new, old, config)

    @cached_property
    def seen(self) -> dict[str, Tensor]:
        """What the part that changes takes of each set of images."""
        sets = {"new": self.new.train, "anchors": self.old.train, "new test": self.new.test, "old test": self.old.test}
        return {name: self.parts.inputs(images.images) for name, images in sets.items()}

    def problem(self, ridge: float, anchor_weight: float) -> Problem:
        """The convex problem; its inputs and targets are those of ordinary fine-tuning, too."""
        targets = torch.from_numpy(self.gallery.targets(self.new.train))
        return Problem(self.model, self.seen["new"], targets, ridge, self.seen["anchors"], anchor_weight)

    def queries(self, change: Tensor | None, *, linear: bool = False) -> dict[str, TaskResult]:
        """Test drawings of the new and the old domain in the gallery, by the network or by the linear model."""
        found: dict[str, TaskResult] = {}
        for name, images in (("new", self.new.test), ("old", self.old.test)):
            inputs = self.seen[f"{name} test"]
            if linear and change is not None:
                vectors = linear_vectors(self.model, inputs, change)
            else:
                vectors = self.model.changed(inputs, change).numpy()
            found[name] = self.gallery.search(images, vectors, self.gallery.answerable(images, own=False), own=False)
        return found


def emoji_and_recipe() -> tuple[Dataset, Recipe]:
    recipe = built_in("demo")
    return hetero.prepare(recipe.data, recipe.preprocessing), recipe


def trained(emoji: Dataset, recipe: Recipe, steps: int, seed: int, directory: Path) -> EmbeddingModel:
    """The demo's cloud model, which never sees a line drawing; continued where it was interrupted."""
    if (directory / "config.json").is_file():
        return hetero.load_model(directory)
    images = emoji.train
    known = with_rows(images, np.flatnonzero(np.asarray(images.views) != images.view_names.index("line")))
    kept = [task for task in emoji.validation_tasks if "line" not in task.name]
    data = dataclasses.replace(emoji.training_on(known), validation_tasks=tuple(kept))
    training = dataclasses.replace(recipe.cloud.training, steps=steps, validate_every=max(1, steps // 10))
    config = dataclasses.replace(recipe.cloud, training=training)
    return hetero.train_cloud(data, config, recipe.preprocessing, directory, seed=seed)


def noto_gallery(model: EmbeddingModel, emoji: Dataset) -> OldGallery:
    """Every emoji in noto, as the model embeds it before it is adapted."""
    stored = [_of(images, "noto") for images in (emoji.train, emoji.validation, emoji.test)]
    names = tuple(name for images in stored for name in images.names)
    vectors = np.concatenate([hetero.embed_images(model, images.images) for images in stored])
    assert model.space is not None
    return OldGallery(vectors, names, tuple(name.split("/")[0] for name in names), model.space)


def _domain(emoji: Dataset, design: str, classes: NDArray[np.int64], altered: Altered | None = None) -> Dataset:
    sets = (_of(emoji.train, design, classes), _of(emoji.validation, design), _of(emoji.test, design))
    if altered is not None:
        sets = tuple(dataclasses.replace(one, images=altered(one.images[:])) for one in sets)
    return Dataset(design, *sets, validation_tasks=(), test_tasks=(), fingerprint="")


def _of(images: ImageSet, design: str, classes: NDArray[np.int64] | None = None) -> ImageSet:
    chosen = np.asarray(images.views) == images.view_names.index(design)
    if classes is not None:
        chosen &= np.isin(images.labels, classes)
    return with_rows(images, np.flatnonzero(chosen))
