"""Embed many images with one model."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from tqdm import tqdm

from hetero.data.images import Images, require_size
from hetero.models.model import EmbeddingModel


def embed_images(
    model: EmbeddingModel, images: Images, *, batch_size: int = 256, progress: str = ""
) -> Float32[np.ndarray, "n d"]:
    """Unit vectors of all images, in order.

    Args:
        model: Put into evaluation mode for the call.
        images: uint8 [n, h, w, 3], resized as the model's preprocessing says.
        batch_size: Images at a time.
        progress: Label of a progress bar; none when empty.

    Raises:
        InputError: When the images are of another size than the model takes.
    """
    require_size(images, model.preprocessing, f"the model {model.name}")
    device = model.mean.device
    training = model.training
    model.eval()
    parts: list[np.ndarray] = []
    starts = tqdm(range(0, len(images), batch_size), desc=progress, disable=not progress, unit="batch")
    try:
        with torch.inference_mode():
            for start in starts:
                rows = np.arange(start, min(start + batch_size, len(images)))
                batch = torch.from_numpy(np.ascontiguousarray(images[rows])).to(device)
                parts.append(model(batch).float().cpu().numpy())
    finally:
        model.train(training)
    return np.concatenate(parts) if parts else np.zeros((0, model.config.dimension), np.float32)
