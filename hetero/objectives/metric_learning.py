"""Losses of pytorch-metric-learning as own-space terms: ``pml:NAME``."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.declaration import Declaration
from hetero.objectives.head import Head
from hetero.objectives.signatures import options_of

PREFIX = "pml:"
# Parameters by which losses with their own classifier receive its size.
_SIZES = ("num_classes", "embedding_size")


def metric_learning_entry(name: str) -> Declaration:
    """Return the entry of ``pml:NAME``.

    Raises:
        InputError: When the package is missing, there is no such loss, or it needs more than embeddings and labels.
    """
    home = f"{__name__}:{metric_learning_loss.__name__}"
    options, needs = options_of(name, _loss_class(name), given=_SIZES), frozenset({"labels"})
    return Declaration(home, "of pytorch-metric-learning", options, needs, takes_head=True, fixed={"loss": name})


def metric_learning_loss(loss: str, head: Head, **options: Any) -> MetricLearningLoss:
    """Make the objective ``pml:NAME``; its own classifier, if any, is initialised by the head's seed."""
    kind = _loss_class(loss)
    sizes = {"num_classes": head.classes, "embedding_size": head.dimension}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(head.seed)
        return MetricLearningLoss(kind(**{key: sizes[key] for key in _accepted(kind)}, **options))


class MetricLearningLoss(nn.Module):
    """A loss of embeddings and labels, within the model in training."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the loss of the batch."""
        return self.loss(batch.embeddings, batch.labels)


def _accepted(kind: type[nn.Module]) -> list[str]:
    import inspect

    return [key for key in _SIZES if key in inspect.signature(kind).parameters]


def _loss_class(name: str) -> type[nn.Module]:
    try:
        from pytorch_metric_learning import losses
    except ImportError:
        raise InputError(f"{name} needs pytorch-metric-learning: pip install 'hetero[metric-learning]'") from None
    loss = name.removeprefix(PREFIX)
    kind = getattr(losses, loss, None)
    if isinstance(kind, type) and issubclass(kind, nn.Module):
        return kind
    names = [key for key, value in vars(losses).items() if isinstance(value, type) and issubclass(value, nn.Module)]
    close = difflib.get_close_matches(loss, names, n=3)
    hint = f"; did you mean {' or '.join(PREFIX + match for match in close)}?" if close else ""
    raise InputError(f"unknown objective {name!r}: pytorch-metric-learning has no loss {loss}{hint}")
