"""Each model's vectors of a run's test images, embedded once and kept in the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hetero.data.embeddings.file import aligned, load_embeddings, save_embeddings
from hetero.pipeline.context import Context

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

VECTORS = "vectors"
"""Folder of an evaluation: a file for each student."""


def model_vectors(context: Context, folder: Path) -> dict[str, Float32[np.ndarray, "n _"]]:
    """Return the cloud's vectors, then those of each model that exists, in the recipe's order.

    Args:
        context: The run.
        folder: Folder of the students' files; missing ones are embedded and written.

    Returns:
        Model name -> float32 [n, d], in the order of the test images.
    """
    from hetero.training.reference.cloud_reference import cloud_embeddings

    names = [config.name for config in context.recipe.models if context.has_model(config.name)]
    cloud = aligned(load_embeddings(cloud_embeddings(context.cloud)), context.dataset.test)
    return {context.recipe.cloud.name: cloud} | {name: _embedded(context, name, folder) for name in names}


def _embedded(context: Context, name: str, folder: Path) -> Float32[np.ndarray, "n _"]:
    path, test = folder / f"{name}.safetensors", context.dataset.test
    if path.is_file():
        return load_embeddings(path).embeddings
    from hetero.models.device import on_fastest_device
    from hetero.models.directory import load_model
    from hetero.models.embed import embed_images

    model = on_fastest_device(load_model(context.student(name)))
    assert model.space is not None
    vectors = embed_images(model, test.images, progress=f"embedding with {name}")
    save_embeddings(path, vectors, test.names, model.space)
    return vectors
