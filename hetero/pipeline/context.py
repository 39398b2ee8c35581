"""What the stages of a run share: the recipe, the data set (loaded once, when first needed) and the run's files."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from hetero.data.images import Dataset
from hetero.recipe import Recipe
from hetero.search.workers_config import WorkersConfig


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
        """The images, with changed copies of those for training: what the cloud embeds and students learn from."""
        from hetero.data.copies import with_copies

        cloud, seed = self.recipe.cloud, self.recipe.data.seed
        train = with_copies(self.dataset.train, cloud.copies, cloud.copies_augment, seed=seed)
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

    def bundle(self, name: str) -> Path:
        """A student's bundle."""
        return self.root / "bundles" / name / "bundle"
