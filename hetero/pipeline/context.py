"""The context that the stages of a run share: recipe, data set (loaded once, when first needed) and files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetero.data.images import Dataset
from hetero.files import cache_directory
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.objectives.config import ObjectiveConfig
from hetero.pipeline.recipe import Recipe
from hetero.space import EmbeddingSpace
from hetero.text.fitted_texts import fitted_config
from hetero.text.vectors import TextVectors

if TYPE_CHECKING:
    from hetero.training.reference.cloud_reference import CloudReference


TEXTS = "texts"
"""Folder of the texts that a run's own text tower embedded."""


@dataclass(frozen=True)
class Context:
    """A run in progress.

    Attributes:
        recipe: The recipe.
        root: The run's directory.
        resume: True to continue interrupted training from its checkpoint.
        workers: Processes or cluster that evaluate a search's candidates.
    """

    recipe: Recipe
    root: Path
    resume: bool = True
    workers: WorkersConfig = field(default_factory=WorkersConfig)

    @cached_property
    def dataset(self) -> Dataset:
        """The images, as the students take them."""
        from hetero.data.prepare import prepare

        return prepare(self.recipe.data, self.recipe.preprocessing)

    @cached_property
    def with_copies(self) -> Dataset:
        """The images, with changed copies of the training images: the cloud embeds them, and students learn from them.

        Copies are cached for all processes unless they are too large, as decoded images are.
        """
        from hetero.data.augmentation.copies import with_copies

        cloud, data, train = self.recipe.cloud, self.recipe.data, self.dataset.train
        size = (cloud.copies + 1) * math.prod(train.images.shape)
        cache = cache_directory() if size <= data.decoded_limit_gb * 1e9 else None
        train = with_copies(train, cloud.copies, cloud.copies_augment, seed=data.seed, cache=cache)
        return self.dataset.training_on(train)

    @cached_property
    def texts(self) -> TextVectors | None:
        """The texts of the cloud's space; None when the recipe names none.

        Raises:
            InputError: When they do not fit the space or the images.
        """
        if (config := self.recipe.cloud.text) is None:
            return None
        config = fitted_config(config, self.root / TEXTS) if config.fit else config
        texts = TextVectors.load(config, EmbeddingSpace.load(self.cloud / "space.json"))
        texts.require_known(self.dataset)
        return texts

    def reference(self, dataset: Dataset, terms: Sequence[ObjectiveConfig], *, live: float = 0.0) -> CloudReference:
        """Return the cloud stage's results as a model with these objectives learns from them.

        Args:
            dataset: The images.
            terms: The objectives; the texts are loaded where they need them.
            live: Share of each batch that the cloud model embeds in training; not 0 loads the model itself.
        """
        # Late: they take torch.
        from hetero.pipeline.external_cloud import cloud_embedder
        from hetero.training.reference.cloud_reference import CloudReference

        recipe, external = self.recipe, self.recipe.cloud.is_external
        reference = CloudReference.from_directory(self.cloud, dataset, live=bool(live) and not external)
        if live and external:
            reference = replace(reference, model=cloud_embedder(recipe))
        text = recipe.cloud.text
        if text is None or not recipe.learns_from_texts(terms) or self.texts is None:
            return reference
        return reference.with_texts(self.texts, dataset, prototypes=text.prototypes)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields without the images, which another process reads from the cache itself."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def cloud(self) -> Path:
        """The cloud's directory."""
        return self.root / "cloud"

    @property
    def supernet(self) -> Path:
        """The supernet's directory."""
        return self.root / "supernet"

    @property
    def search(self) -> Path:
        """The directory of the search's results."""
        return self.root / "search"

    def student(self, name: str) -> Path:
        """Return a student's model directory."""
        return self.root / "students" / name

    def has_model(self, name: str) -> bool:
        """Return True if there is a model of this name; an adapted one may have been refused."""
        return (self.student(name) / "config.json").is_file()

    def bundle(self, name: str) -> Path:
        """Return a student's bundle directory."""
        return self.root / "bundles" / name / "bundle"

    @property
    def bundles(self) -> list[Path]:
        """The bundle directory of every model that ships."""
        models = self.recipe.models
        return [self.bundle(model.name) for model in models if not model.independent and self.has_model(model.name)]
