"""A cloud model that is not trained here: an ONNX file, or only a file of its embeddings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from hetero.data.embeddings import aligned, load_embeddings, save_embeddings
from hetero.data.images import Dataset
from hetero.files import write_json
from hetero.models.external import OnnxEmbedder, embed_all
from hetero.recipe import Recipe
from hetero.training.cloud_reference import CLOUD_EMBEDDINGS, MIRRORS
from hetero.training.mirrored import takes_mirrored_alike


def external_cloud(recipe: Recipe, dataset: Dataset, work: Path) -> None:
    """Write the cloud stage's files (embeddings of all images, ``space.json``) without training.

    Raises:
        InputError: When embeddings of an image are missing.
    """
    config = recipe.cloud
    sets = (dataset.train, dataset.validation, dataset.test)
    names = [name for one in sets for name in one.names]
    if config.embeddings:
        stored = load_embeddings(Path(config.embeddings))
        parts, space, mirrors = [aligned(stored, one) for one in sets], stored.space, False
    else:
        takes = recipe.cloud_preprocessing
        embedder = onnx_cloud(recipe)
        seen = [one.prepared_by(takes).images for one in sets]
        parts = [embed_all(embedder, images, progress="embedding with the cloud model") for images in seen]
        space = embedder.space
        mirrors = takes_mirrored_alike(partial(embed_all, embedder), seen[0], parts[0])
    save_embeddings(work / CLOUD_EMBEDDINGS, np.concatenate(parts), names, space)
    space.save(work / "space.json")
    costs = {"macs": config.macs, "parameters": config.parameters}
    write_json(work / "metrics.json", {name: count for name, count in costs.items() if count} | {MIRRORS: mirrors})


def onnx_cloud(recipe: Recipe) -> OnnxEmbedder:
    """The cloud model that a recipe gives as an ONNX file."""
    config = recipe.cloud
    return OnnxEmbedder(Path(config.onnx), recipe.cloud_preprocessing, name=config.name, version=config.version)
