"""Checks before an upgrade, for problems that would stop it later."""

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
    """Return the problems of the files that an upgrade needs and of the model that it trains.

    Args:
        data: The images; None when their settings could not be read, which leaves them unchecked.
        old: The old model's path; empty when none is named.
        model: The new model; None as for ``data``.
        preprocessing: The new model's preprocessing; None as for ``data``.
        terms: Terms of its objective; those that learn from labels use the images that have one.
    """
    # Imported here because models need torch.
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
