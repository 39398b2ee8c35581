"""What would stop an upgrade after it has begun, found before."""

from __future__ import annotations

from pathlib import Path

from hetero.data.config import DataConfig
from hetero.mistakes import attempt
from hetero.models.config import ModelConfig
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.labels import label_problems
from hetero.preprocessing import Preprocessing


def upgrade_preflight(
    data: DataConfig | None,
    old: str,
    model: ModelConfig | None,
    preprocessing: Preprocessing | None,
    terms: tuple[ObjectiveConfig, ...],
) -> list[str]:
    """What is wrong with the files that an upgrade needs and the model that it trains.

    Args:
        data: The images; None when they could not be read, here and below: then nothing is said of them.
        old: The old model's path; empty when none is named.
        model: The new model.
        preprocessing: The new model's.
        terms: Of its objective; those that learn from labels do so from the images that have one.
    """
    # Late: models take torch.
    from hetero.data.prepare import fingerprint, training_labels
    from hetero.models.cost import untrained_cost
    from hetero.upgrade.earlier import EarlierModel

    problems: list[str] = []
    if data is not None:
        attempt(problems, "data", lambda: fingerprint(data, preprocessing or Preprocessing(32, 32)))
        unlabelled, images = attempt([], "data", lambda: training_labels(data)) or (0, 0)
        if unlabelled == images:
            lines = label_problems(terms, unlabelled=unlabelled, images=images)
            problems += [f"cloud and upgrade objectives: {line}" for line in lines]
    if old:
        attempt(problems, "upgrade.old", lambda: EarlierModel.open(Path(old), preprocessing))
    if model is not None and preprocessing is not None:
        attempt(problems, "cloud", lambda: untrained_cost(model, preprocessing))
    return problems
