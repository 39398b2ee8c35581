"""A method of a comparison, and the students that it trains."""

from __future__ import annotations

import dataclasses
from typing import Any

from hetero.constraints import Text
from hetero.data.augmentation.config import AugmentConfig
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.schema import settings
from hetero.training.config import Optimizer, StudentConfig

ARCHITECTURE = ("model", "start", "max_macs", "max_macs_share", "max_parameters", "head")
"""The settings that the default student shares with those of other methods."""

BUDGET = (
    "steps",
    "classes_per_batch",
    "images_per_class",
    "batch",
    "validate_every",
    "judged_by",
    "candidates_from",
    "checkpoint_every",
    "precision",
    "compile",
    "threads",
)
"""The settings that its training shares with theirs: the same number of steps and images, and the same judgement."""


@settings
class MethodConfig:
    """One way to make a student live in the cloud's space.

    Attributes:
        name: Name for people and files.
        default: Train ``StudentConfig`` with its defaults for objectives, optimiser, rate, sampling, changes to the
            images and principal directions; architecture, steps and size of a batch are the comparison's.
        objectives: Terms of its objective; with ``default`` in addition to those of the default student.
        variants: Several objectives to choose from instead: the first seed trains each, and the one with the best
            figure on the validation classes is trained with the other seeds too.
        optimizer: Another optimiser than the student's, at its default rate.
        independent: Train without the cloud model, and so without the copies that it embedded.
        augment: Changes to the training images, where the method needs other ones than the student's.
        live: Run the cloud model on each augmented batch, see ``StudentConfig``.
        adapter: Train nothing, but map another method's vectors into the cloud's space by this adapter.
        of: The other method.
    """

    name: Text
    default: bool = False
    objectives: tuple[Term, ...] = ()
    variants: tuple[tuple[Term, ...], ...] = ()
    optimizer: Optimizer | None = None
    independent: bool = False
    augment: AugmentConfig | None = None
    live: bool = False
    adapter: str = ""
    of: str = ""

    @property
    def choices(self) -> tuple[tuple[ObjectiveConfig, ...], ...]:
        """The objectives to choose from; one when there is nothing to choose."""
        return self.variants or (self.objectives,)

    def trained_as(self, choice: int) -> str:
        """Return the name of the student that a choice trains."""
        return self.name if len(self.choices) == 1 else f"{self.name}.{choice + 1}"

    def students(self, shared: StudentConfig) -> list[StudentConfig]:
        """Return a student for each choice; none for an adapter.

        Args:
            shared: Architecture, budget and training of every method's student.
        """
        if self.adapter:
            return []
        base = default_student(shared) if self.default else dataclasses.replace(shared, objectives=())
        return [
            dataclasses.replace(
                base,
                name=self.trained_as(choice),
                objectives=base.objectives + objectives,
                independent=self.independent,
                live=self.live,
                training=dataclasses.replace(base.training, **self._own_training()),
            )
            for choice, objectives in enumerate(self.choices)
        ]

    def _own_training(self) -> dict[str, Any]:
        changes = {"augment": self.augment} if self.augment else {}
        return changes | ({"optimizer": self.optimizer, "learning_rate": None} if self.optimizer else {})


def default_student(shared: StudentConfig) -> StudentConfig:
    """Return ``StudentConfig`` with its defaults, except architecture and budget, which are taken from another."""
    default = StudentConfig(shared.name)
    budget = {name: getattr(shared.training, name) for name in BUDGET}
    architecture = {name: getattr(shared, name) for name in ARCHITECTURE}
    return dataclasses.replace(default, training=dataclasses.replace(default.training, **budget), **architecture)
