"""A cloud model that the run does not train: a published one, a file, a directory, code, or only its embeddings."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np

from hetero.data.embeddings.file import aligned, load_embeddings, rows_in, save_embeddings
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.data.images import Dataset
from hetero.files import write_json
from hetero.models.backbones.pretrained import published
from hetero.models.directory import MIRRORS
from hetero.models.external.embedders import ModuleEmbedder, OnnxEmbedder, embed_all
from hetero.models.external.frozen import backbone_embedder, embedder_of
from hetero.models.external.own import own_embedder
from hetero.models.external.program import program_embedder
from hetero.models.external.trained import TrainedEmbedder
from hetero.models.families import BY_NAME
from hetero.pipeline.recipe import Recipe
from hetero.storage.directories import link_tree
from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS, CLOUD_SHARDS
from hetero.training.reference.mirrored import takes_mirrored_alike


def external_cloud(recipe: Recipe, dataset: Dataset, work: Path) -> None:
    """Write the cloud stage's files (embeddings of all images, ``space.json``) without training.

    Raises:
        InputError: When the embedding of an image is missing.
    """
    config, costs = recipe.cloud, {"macs": recipe.cloud.macs, "parameters": recipe.cloud.parameters}
    sets = (dataset.train, dataset.validation, dataset.test)
    names = [name for images in sets for name in images.names]
    mirrors = False
    if config.embeddings:
        stored = load_embeddings(Path(config.embeddings))
        space = stored.space
        if isinstance(stored, EmbeddingShards):
            rows_in(stored, names)
            link_tree(stored.folder, work / CLOUD_SHARDS)
        else:
            parts = [aligned(stored, images) for images in sets]
            save_embeddings(work / CLOUD_EMBEDDINGS, np.concatenate(parts), names, space)
    else:
        embedder = cloud_embedder(recipe)
        if config.is_counted and not isinstance(embedder, OnnxEmbedder):
            costs = dataclasses.asdict(embedder.cost)
        inputs = [images.prepared_by(embedder.preprocessing).images for images in sets]
        parts = [embed_all(embedder, images, progress="embedding with the cloud model") for images in inputs]
        space = embedder.space
        mirrors = takes_mirrored_alike(partial(embed_all, embedder), inputs[0], parts[0])
        save_embeddings(work / CLOUD_EMBEDDINGS, np.concatenate(parts), names, space)
    space.save(work / "space.json")
    write_json(work / "metrics.json", {name: count for name, count in costs.items() if count} | {MIRRORS: mirrors})


def cloud_embedder(recipe: Recipe) -> ModuleEmbedder | OnnxEmbedder | TrainedEmbedder:
    """Return the cloud model that a recipe names, unless it names only embeddings.

    Args:
        recipe: The recipe.

    Raises:
        InputError: When the model cannot be made, or does not take such images.
    """
    config = recipe.cloud
    if config.onnx:
        return OnnxEmbedder(Path(config.onnx), recipe.cloud_preprocessing, name=config.name, version=config.version)
    if config.program:
        preprocessing = recipe.cloud_preprocessing
        return program_embedder(Path(config.program), preprocessing, name=config.name, version=config.version)
    if config.directory:
        return TrainedEmbedder(Path(config.directory))
    if config.module:
        return own_embedder(
            config.module, config.preprocessing, recipe.preprocessing, name=config.name, version=config.version
        )
    if config.backbone.startswith(BY_NAME):
        return backbone_embedder(
            config.backbone,
            config.preprocessing,
            weights=Path(config.weights) if config.weights else None,
            space=config.name,
            version=config.version,
        )
    backbone = published(config.backbone)
    height, width = backbone.size
    # The students' images, in the backbone's size and with its normalisation.
    default = dataclasses.replace(
        recipe.preprocessing, height=height, width=width, shrink=1, mean=backbone.mean, std=backbone.std
    )
    preprocessing = config.preprocessing or default
    return embedder_of(backbone, config.backbone, preprocessing, space=config.name, version=config.version)
