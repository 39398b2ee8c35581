"""How many changed copies of each training image a cloud model should embed: a rule. Needs no torch."""

from __future__ import annotations

from hetero.training.config import TrainingConfig
from hetero.training.schedule import fewest_steps

EXHAUSTED = 80
"""Times that a training shows a photo from which it learns more from changed copies than from light changes."""
COPIES = 8
"""So that such a training shows each about ten times."""


def images_shown(training: TrainingConfig) -> int:
    """Images that a training shows, each as often as it is shown; with ``steps = "auto"`` at least."""
    steps = fewest_steps(training.validate_every) if training.steps == "auto" else training.steps
    return steps * (training.batch or training.classes_per_batch * training.images_per_class)


def suggested_copies(training: TrainingConfig, images: int) -> int:
    """Changed copies of each image that a student learns more from than from light changes to the images.

    Light changes are new each time and cost nothing, but the cloud's vector is that of the image before the change:
    early in a training this is close enough, late it is what limits agreement on images not trained on. The cloud
    model then embeds at most one picture for ten that the student is shown. docs/results.md has what decided.

    Args:
        training: How long the student trains.
        images: Training images.

    Returns:
        How many copies of each image: 8, or none for a training that shows each fewer than 80 times.
    """
    return COPIES if images_shown(training) >= EXHAUSTED * images else 0
