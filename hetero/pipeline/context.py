"""What the stages of a run share: the recipe, the data set (loaded once, when first needed) and the run's files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from hetero.data.images import Dataset
from hetero.files import cache_directory
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.pipeline.recipe import Recipe


@dataclass(frozen=True)
class Context:
    """A run in progress.

    Attributes:
        recipe: What is asked for.
        root: The run's directory.
        resume: Whether interrupted training continues.
        workers: Where a search evaluates its candidates.
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
        """The images, with changed copies of those for training: what the cloud embeds and students learn from.

        As decoded images are, copies are kept in the cache for all processes while they are not too large.
        """
        from hetero.data.augmentation.copies import with_copies

        cloud, data, train = self.recipe.cloud, self.recipe.data, self.dataset.train
        size = (cloud.copies + 1) * math.prod(train.images.shape)
        cache = cache_directory() if size <= data.decoded_limit_gb * 1e9 else None
        train = with_copies(train, cloud.copies, cloud.copies_augment, seed=data.seed, cache=cache)
        return self.dataset.training_on(train)

    def __getstate__(self) -> dict[str, Any]:
        """What another process is given: the images it reads itself, from the cache."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

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
        """What the search found."""
        return self.root / "search"

    def student(self, name: str) -> Path:
        """A student's model directory."""
        return self.root / "students" / name

    def has_model(self, name: str) -> bool:
        """True if there is a student of this name; one that was to be adapted may have been refused."""
        return (self.student(name) / "config.json").is_file()

    def bundle(self, name: str) -> Path:
        """A student's bundle."""
        return self.root / "bundles" / name / "bundle"

    @property
    def bundles(self) -> list[Path]:
        """Of every model that ships."""
        models = self.recipe.models
        return [self.bundle(one.name) for one in models if not one.independent and self.has_model(one.name)]
