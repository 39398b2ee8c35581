"""Networks of other packages with random weights, saved as their packages save them, and what these make of images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from hetero.models.backbones.open_clip_package import open_clip_for
from hetero.models.backbones.timm_package import import_timm
from tests.hetero.models.published.stand_in import open_clip_transform, timm_transform, transformers_transform

Call = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Published:
    """A network by name.

    Attributes:
        name: As a recipe names it.
        weights: Its file; None where a directory holds them.
        transform: What its library makes of a picture.
        call: What its library makes of a batch of such.
        output: How its vectors are called.
    """

    name: str
    weights: Path | None
    transform: Callable[[Image.Image], torch.Tensor]
    call: Call
    output: str


TIMM = {
    "vit_tiny_patch16_224": "class token",
    "vit_small_patch14_reg4_dinov2": "class token",
    "convnext_atto": "pooled features",
    "mobilenetv4_conv_small": "pooled features",
    "efficientnet_b0": "pooled features",
    "resnet10t": "pooled features",
    "mobilenetv3_small_050": "pooled features",
    "mobilevitv2_050": "pooled features",
}


def save(model: torch.nn.Module, path: Path) -> Path:
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


def of_timm(name: str, folder: Path, side: int = 0) -> Published:
    """``side`` is that of smaller images, where those that the network is made for take too long."""
    torch.manual_seed(0)
    model = import_timm().create_model(name, pretrained=False).eval()

    def call(pixels: torch.Tensor) -> torch.Tensor:
        return model.forward_head(model.forward_features(pixels), pre_logits=True)

    weights = save(model, folder / f"{name}.safetensors")
    if side:
        model.set_input_size(img_size=(side, side))
    output = f"{TIMM[name]} (forward_head, pre_logits=True)"
    return Published(f"timm:{name}", weights, timm_transform(model.pretrained_cfg), call, output)


TEXT = {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1}
OPEN_CLIP = {
    "vit": (
        {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic", "resize_mode": "shortest"},
    ),
    "convnext": (
        {
            "image_size": 64, "timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear",
            "timm_drop": 0.0, "timm_drop_path": 0.1,
        },
        {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"},
    ),
}  # fmt: skip


def of_open_clip(name: str, folder: Path) -> Published:
    library = open_clip_for("tests")
    tower, preprocess = OPEN_CLIP[name]
    place = folder / name
    place.mkdir()
    config = {"embed_dim": 24, "vision_cfg": tower, "text_cfg": TEXT}
    (place / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    model = library.create_model(f"local-dir:{place}").eval()
    save(model, place / "open_clip_model.safetensors")
    transform = open_clip_transform(library.get_model_preprocess_cfg(model))
    return Published(f"open_clip:{place}", None, transform, model.encode_image, "projected vectors (encode_image)")


TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}


def of_transformers(name: str, folder: Path) -> Published:
    import transformers

    torch.manual_seed(0)
    place = folder / name
    if name == "clip":
        config = transformers.CLIPVisionConfig(**TOWER, patch_size=8, projection_dim=24)
        model = transformers.CLIPVisionModelWithProjection(config).eval()
        made = transformers.AutoImageProcessor, {"size": {"shortest_edge": 32}, "crop_size": 32}
        processor = transformers.models.clip.image_processing_pil_clip.CLIPImageProcessorPil(**made[1])
        output = "projected vectors (image_embeds)"
    else:
        model = transformers.Dinov2Model(transformers.Dinov2Config(**TOWER, patch_size=8)).eval()
        processor = transformers.models.bit.image_processing_pil_bit.BitImageProcessorPil(
            size={"shortest_edge": 37}, crop_size=32, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
        )
        output = "pooled vectors (pooler_output)"
    model.save_pretrained(place)
    processor.save_pretrained(place)

    def call(pixels: torch.Tensor) -> torch.Tensor:
        answer = model(pixel_values=pixels)
        return answer.image_embeds if name == "clip" else answer.last_hidden_state[:, 0]

    return Published(f"hf:{place}", None, transformers_transform(processor), call, output)
