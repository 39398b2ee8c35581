"""Whether a model can be adapted for a gallery, asked before a photo is decoded and while its weights lie unread."""

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
    """Refuse a model that cannot be adapted for this gallery, or has no place to be written to.

    Args:
        directory: Of the model.
        gallery: Of its space.
        out: Where the adapted model will go; None for nowhere.
        part: What may change.

    Returns:
        How the model takes its images.

    Raises:
        InputError: When the model was fine-tuned for int8 or has no such part, or ``out`` holds a model.
        SpaceMismatchError: When the gallery is of another space.
    """
    if out is not None and (out / "config.json").exists():
        raise InputError(f"{out} holds a model already; give another folder for the adapted one")
    known = load_record(directory)
    if metrics_of(directory).get("tuned_for") == "int8":
        raise InputError(
            f"{directory} was fine-tuned for int8: its weights stand where rounding wants them, and a change of them "
            "undoes that; adapt the model that it was tuned from, then tune the adapted one"
        )
    space = EmbeddingSpace.load(directory / "space.json")
    space.require_same(gallery.space, this=f"the model {known.name}", that="the gallery")
    require_part(known.model, part)
    return known.preprocessing


def suited(directory: Path, gallery: OldGallery, out: Path | None, part: Part) -> Divided:
    """Load a model and divide it; arguments and refusals as of :func:`require_suited`."""
    require_suited(directory, gallery, out, part)
    return divided(load_model(directory), part)
