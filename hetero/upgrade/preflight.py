"""What would stop an upgrade after it has begun, found before."""

from __future__ import annotations

from pathlib import Path

from hetero.data.config import DataConfig
from hetero.mistakes import attempt
from hetero.models.config import ModelConfig
from hetero.preprocessing import Preprocessing


def upgrade_preflight(
    data: DataConfig | None, old: str, model: ModelConfig | None, preprocessing: Preprocessing | None
) -> list[str]:
    """What is wrong with the files that an upgrade needs and the model that it trains.

    Args:
        data: The images; None when they could not be read, here and below: then nothing is said of them.
        old: The old model's path; empty when none is named.
        model: The new model.
        preprocessing: The new model's.
    """
    # Late: models take torch.
    from hetero.data.prepare import fingerprint
    from hetero.models.cost import untrained_cost
    from hetero.upgrade.earlier import EarlierModel

    problems: list[str] = []
    if data is not None:
        attempt(problems, "data", lambda: fingerprint(data, preprocessing or Preprocessing(32, 32)))
    if old:
        attempt(problems, "upgrade.old", lambda: EarlierModel.open(Path(old), preprocessing))
    if model is not None and preprocessing is not None:
        attempt(problems, "cloud", lambda: untrained_cost(model, preprocessing))
    return problems
