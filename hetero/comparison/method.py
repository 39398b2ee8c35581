"""What a method of a comparison is, and the students that it trains."""

from __future__ import annotations

import dataclasses

from hetero.constraints import Text
from hetero.data.augment_config import AugmentConfig
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.schema import settings
from hetero.training.config import StudentConfig, TrainingConfig


@settings
class MethodConfig:
    """One way to make a student live in the cloud's space.

    Attributes:
        name: For people and files.
        objectives: Terms of its objective.
        variants: Several objectives to choose from instead: the first seed trains each, and the one with the best
            figure on the validation classes is trained with the other seeds too.
        independent: Train without the cloud model, and so without the copies that it embedded.
        augment: Changes to the training images, where the method needs others than the student's.
        live: Run the cloud model on each augmented batch, see ``StudentConfig``.
        adapter: Train nothing, but map another method's vectors into the cloud's space by this adapter.
        of: That other method.
    """

    name: Text
    objectives: tuple[Term, ...] = ()
    variants: tuple[tuple[Term, ...], ...] = ()
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
        """Name of the student that a choice trains."""
        return self.name if len(self.choices) == 1 else f"{self.name}.{choice + 1}"

    def students(self, shared: StudentConfig) -> list[StudentConfig]:
        """A student for each choice; none for an adapter.

        Args:
            shared: Architecture, budget and training of every method's student.
        """
        if self.adapter:
            return []
        return [
            dataclasses.replace(
                shared,
                name=self.trained_as(choice),
                objectives=objectives,
                independent=self.independent,
                live=self.live,
                training=self._training(shared.training),
            )
            for choice, objectives in enumerate(self.choices)
        ]

    def _training(self, shared: TrainingConfig) -> TrainingConfig:
        return shared if self.augment is None else dataclasses.replace(shared, augment=self.augment)
