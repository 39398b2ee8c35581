"""Checks that a model can be adapted for a gallery, before a photo is decoded or its weights are read."""

from __future__ import annotations

from pathlib import Path

from hetero.errors import InputError
from hetero.linear.config import Part
from hetero.linear.gallery import OldGallery
from hetero.linear.outcome import metrics_of
from hetero.linear.parts import Divided, divided, require_part
from hetero.models.directory import load_model, load_record
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace


def require_suited(directory: Path, gallery: OldGallery, out: Path | None, part: Part) -> Preprocessing:
    """Refuse a model that cannot be adapted for this gallery, or a directory that holds a model already.

    Args:
        directory: Directory of the model.
        gallery: A gallery of its space.
        out: Directory that the adapted model will be written to; None if none will.
        part: Part of the model that may change.

    Returns:
        The model's preprocessing.

    Raises:
        InputError: When the model was fine-tuned for int8 or has no such part, or ``out`` holds a model.
        SpaceMismatchError: When the gallery belongs to another space.
    """
    if out is not None and (out / "config.json").exists():
        raise InputError(f"{out} holds a model already; give another folder for the adapted one")
    stored = load_record(directory)
    require_not_tuned(directory)
    space = EmbeddingSpace.load(directory / "space.json")
    space.require_same(gallery.space, this=f"the model {stored.name}", that="the gallery")
    require_part(stored.model, part)
    return stored.preprocessing


def require_not_tuned(directory: Path) -> None:
    """Refuse a model that was fine-tuned for int8.

    Raises:
        InputError: When it was.
    """
    if metrics_of(directory).get("tuned_for") == "int8":
        raise InputError(
            f"{directory} was fine-tuned for int8: its weights stand where rounding wants them, and a change of them "
            "undoes that; adapt the model that it was tuned from, then tune the adapted one"
        )


def suited(directory: Path, gallery: OldGallery, out: Path | None, part: Part) -> Divided:
    """Load a model and divide it; arguments and refusals are those of :func:`require_suited`."""
    require_suited(directory, gallery, out, part)
    return divided(load_model(directory), part)
