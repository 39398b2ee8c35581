"""Embed many images with one model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float32

from hetero.data.images import Images, require_size
from hetero.display.progress import Bar
from hetero.models.model import EmbeddingModel


def embed_images(
    model: EmbeddingModel, images: Images, *, batch_size: int = 256, progress: str = "", at_once: int = 1
) -> Float32[np.ndarray, "n d"]:
    """Compute the unit vectors of all images, in order.

    Args:
        model: Put into evaluation mode for the call.
        images: uint8 [n, h, w, 3], resized by the model's preprocessing.
        batch_size: Images at a time.
        progress: Label of a progress bar; none when empty.
        at_once: Batches at a time, each with torch's own threads; the vectors do not depend on it.

    Raises:
        InputError: When the size of the images is not the model's.
    """
    require_size(images, model.preprocessing, f"the model {model.name}")
    device = model.mean.device
    training = model.training
    model.eval()

    def embedded(start: int) -> Float32[np.ndarray, "b d"]:
        rows = np.arange(start, min(start + batch_size, len(images)))
        # Each thread has its own mode.
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(images[rows])).to(device)
            return model(batch).float().cpu().numpy()

    starts = range(0, len(images), batch_size)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            batches = pool.map(embedded, starts) if at_once > 1 else map(embedded, starts)
            parts = list(Bar(batches, desc=progress, disable=not progress, unit="batch", total=len(starts)))
    finally:
        model.train(training)
    return np.concatenate(parts) if parts else np.zeros((0, model.config.dimension), np.float32)
