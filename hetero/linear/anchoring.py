"""Factors of a model's old photos, which stand in for them as anchors once they are gone."""

from __future__ import annotations

from pathlib import Path

from hetero.data.images import Dataset
from hetero.linear.config import Part
from hetero.linear.parts import Divided, divided
from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.anchor_file import load_factors, save_factors
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import anchor_factors
from hetero.linear.suited import require_not_tuned
from hetero.models.directory import load_model

ANCHOR_FACTORS = "anchors.safetensors"
"""Name of the file in a run."""


def write_anchor_factors(model: Path, old: Dataset, file: Path, part: Part = "last-stage") -> None:
    """Write the factors of a model's old photos, while they are there.

    Args:
        model: A model directory. The factors fit no other weights.
        old: The old domain; its training images are the anchors that the factors stand in for.
        file: The safetensors file to write.
        part: Part of the model that an adaptation will change.

    Raises:
        InputError: When the model was fine-tuned for int8, or has no such part.
    """
    require_not_tuned(model)
    parts = divided(load_model(model), part)
    linear = Linearised(parts.upper)
    images = old.train.prepared_by(parts.model.preprocessing).images
    save_factors(file, anchor_factors(linear, parts.inputs(images, progress="old photos")), linear)


def read_anchor_factors(file: Path | None, parts: Divided) -> AnchorFactors | None:
    """Read the factors that replace a model's anchors; None where there is no such file.

    Raises:
        InputError: When they belong to another model, or to another part of it.
        IntegrityError: When the file is not a complete file of factors.
    """
    return None if file is None else load_factors(file, Linearised(parts.upper))
