"""The weights that a student starts from, where it does not start from random ones."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.model import EmbeddingModel
from hetero.models.weights import weights_digest
from hetero.space import EmbeddingSpace
from hetero.training.config import StudentConfig


def start_of(config: StudentConfig, start: nn.Module | None) -> nn.Module | None:
    """Return the module that a student starts from: the given one, that of the directory it names, or None.

    Raises:
        InputError: When both are given, or the directory holds no model.
    """
    if start is not None and config.start:
        raise InputError(f"student {config.name}: expected one start, got a module and start = {config.start!r}")
    return load_model(Path(config.start)) if config.start else start


def start_identity(start: nn.Module | None) -> list[str]:
    """Return the entry that a start adds to a run's identity."""
    return [weights_digest(start)] if start is not None else []


def start_at_weights(model: EmbeddingModel, start: nn.Module, space: EmbeddingSpace | None) -> None:
    """Give a new student the weights of another model, in place.

    An :class:`EmbeddingModel` gives its backbone and pooling, and its last layer where it lives in the student's space
    and has the same form: elsewhere its directions mean something else. Any other module is taken for a backbone.

    Args:
        model: The new student.
        start: The module with the weights.
        space: The space that the student is to live in; None for its own.

    Raises:
        InputError: When the two backbones are of different architectures.
    """
    is_complete = isinstance(start, EmbeddingModel)
    _load(model.backbone, start.backbone if is_complete else start, model)
    if not is_complete:
        return
    _load(model.pool, start.pool, model)
    if space is not None and start.space == space and start.config.principal == model.config.principal:
        for name in ("embedding", "neck", "expansion"):
            _load(getattr(model, name), getattr(start, name), model)


def _load(into: nn.Module, start: nn.Module, model: EmbeddingModel) -> None:
    try:
        into.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"student {model.name} ({model.config.family}, width {model.config.width:g}) cannot start from weights of "
            f"another architecture ({str(error).splitlines()[-1].strip()}): give it the same family, stages and width, "
            "and no budget that would change the width"
        ) from None
