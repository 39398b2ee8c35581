"""Batch-norm statistics of a model, estimated from images, for weights that come from elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from hetero.models.model import EmbeddingModel


def estimate_statistics(model: EmbeddingModel, images: UInt8[Tensor, "n h w 3"], *, batch_size: int = 256) -> None:
    """Replace every batch norm's running mean and variance by averages over batches, in place.

    With batches ``x_1 .. x_B`` of a norm's inputs, each over ``m`` images and positions,

        ``mean = 1/B sum_b mean(x_b)``,  ``variance = 1/B sum_b 1/(m - 1) sum (x_b - mean(x_b))^2``

    while each norm normalises a batch by the batch's own statistics, as in training, so that all layers are estimated
    in one pass (as single path one-shot search does for each candidate, arXiv 1904.00420). Nothing else about the model
    changes; it is left in evaluation mode.

    Args:
        model: A model on any device.
        images: uint8 [n, h, w, 3], resized for its preprocessing; the remainder of a last batch is spread over the
            batches, so that all are of about the same size.
        batch_size: Maximum number of images at a time.
    """
    batches = -(-len(images) // batch_size)
    with _cumulative(model), torch.no_grad():
        for batch in images.tensor_split(batches):
            model(batch.to(model.mean.device))


@contextmanager
def _cumulative(model: EmbeddingModel) -> Generator[None]:
    """Let batch norms, in training mode, average over all batches equally; keep all other layers in evaluation mode."""
    norms: list[_BatchNorm] = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        nn.Module.train(norm)
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
