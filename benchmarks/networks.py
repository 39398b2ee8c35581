"""Networks that exports are measured on: the project's own families, EfficientNet-Lite0, and six of timm."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from hetero import EmbeddingModel, ModelConfig, Preprocessing
from hetero.models.backbones.pretrained import configured
from hetero.models.batch_norm import estimate_statistics
from hetero.models.families import EDGE_STAGES, TIMM

DIMENSION, SIDE = 128, 64


def edge(**changes: Any) -> ModelConfig:
    stages = tuple(dataclasses.replace(stage, **changes) for stage in EDGE_STAGES)
    return ModelConfig(family="edge", dimension=DIMENSION, stages=stages)


LITE = {"efficientnet_lite0": ModelConfig(family="efficientnet_lite0", dimension=DIMENSION)}
OF_TIMM = {
    name: ModelConfig(family=TIMM + name, dimension=DIMENSION)
    for name in (
        "mobilenetv3_small_100",
        "mobilenetv4_conv_small",
        "ghostnet_100",
        "convnext_atto",
        "vit_tiny_patch16_224",
        "resnet18",
    )
}
NETWORKS = {
    "edge": edge(),
    "edge, GeM pooling": dataclasses.replace(edge(), pool="gem"),
    "edge, silu": edge(activation="silu"),
    "edge, relu6": edge(activation="relu6"),
    "edge, relu": edge(activation="relu"),
    "edge, gelu": edge(activation="gelu"),
    "edge, shuffle blocks": edge(block="shuffle"),
    "residual": ModelConfig(family="residual", dimension=DIMENSION),
    **LITE,
    **OF_TIMM,
}


def folder_of(name: str, *, int8: bool) -> str:
    """The name of the folder with a network's bundle."""
    return "-".join([*name.replace(",", "").split(), *(["int8"] if int8 else [])])


def preprocessing_of(config: ModelConfig) -> Preprocessing:
    """Images of 64 pixels, normalised as a published network wants them."""
    plain = Preprocessing(height=SIDE, width=SIDE)
    if config.family in ("edge", "residual"):
        return plain
    published = configured(config)
    return dataclasses.replace(plain, mean=published.mean, std=published.std)


def new_model(config: ModelConfig, images: torch.Tensor) -> EmbeddingModel:
    """Make a network with random weights, where its own are on a hub alone, and batch-norm statistics of images."""
    preprocessing = preprocessing_of(config)
    torch.manual_seed(0)
    model = EmbeddingModel("network", config, preprocessing)
    if config in LITE.values():
        return _with_neck(model.eval(), images)
    with torch.no_grad():
        for name, values in model.named_parameters():
            # A block whose last scale starts at zero counts for nothing before it is trained.
            if name.rpartition(".")[2] in ("weight", "gamma") and values.ndim == 1 and values.abs().max() < 1e-3:
                values.fill_(1.0)
    estimate_statistics(model, images)
    return model


def _with_neck(model: EmbeddingModel, images: torch.Tensor) -> EmbeddingModel:
    """Set the statistics of the neck alone: a published backbone has its own."""
    with torch.no_grad():
        values = torch.cat([model.embedding(model.features(model.pixels(part))) for part in images.split(64)])
    model.neck.running_mean, model.neck.running_var = values.mean(0), values.var(0)
    return model
