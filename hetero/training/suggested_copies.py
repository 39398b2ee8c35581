"""How many changed copies of each training image a cloud model should embed: a rule. Needs no torch."""

from __future__ import annotations

from hetero.training.config import TrainingConfig

SHOWN = 10
"""Times that a training shows each changed copy, where there are as many as suggested."""
EXHAUSTED = 40
"""Times that a training shows a photo from which it learns more from changed copies than from light changes."""
MOST = 8


def images_shown(training: TrainingConfig) -> int:
    """Images that a training shows at most, each as often as it is shown."""
    steps = training.max_steps if training.steps == "auto" else training.steps
    return steps * (training.batch or training.classes_per_batch * training.images_per_class)


def suggested_copies(training: TrainingConfig, images: int) -> int:
    """Changed copies of each image that a student learns more from than from light changes to the images.

    Light changes are new each time and cost nothing, but the cloud's vector is that of the image before the change:
    early in a training this is close enough, late it is what limits agreement on images not trained on. So the cloud
    model embeds about one picture for ten that the student is shown (docs/results.md has figures).

    Args:
        training: How long the student trains.
        images: Training images.

    Returns:
        How many copies of each image; none for a training that shows each fewer than 40 times.
    """
    shown = images_shown(training) // max(1, images)
    return min(MOST, shown // SHOWN) if shown >= EXHAUSTED else 0
