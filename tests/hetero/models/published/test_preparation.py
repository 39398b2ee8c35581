"""What the contract can express of a library's preparation, and what it refuses."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hetero.data.decoding.decode import decode
from hetero.errors import InputError
from hetero.models.published.hf_preparation import stated_by
from hetero.models.published.open_clip_networks import open_clip_preparation
from hetero.models.published.preparation import Preparation
from hetero.models.published.timm_networks import timm_preparation

if missing := [name for name in ("timm", "open_clip", "ftfy", "transformers") if find_spec(name) is None]:
    pytest.skip(f"needs {', '.join(missing)}", allow_module_level=True)

from hetero.models.backbones.open_clip_package import open_clip_for
from hetero.models.backbones.timm_package import import_timm
from tests.hetero.models.published.stand_in import open_clip_transform, timm_transform, transformers_transform

GREY = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
TIMM = {
    "an odd cut": {"input_size": (3, 33, 33), "crop_pct": 0.9},
    "nothing said": {"input_size": (3, 32, 32)},
    "whole": {"input_size": (3, 32, 32), "crop_pct": 1.0, "interpolation": "bilinear", **GREY},
    "squash": {"input_size": (3, 24, 40), "crop_pct": 1.0, "crop_mode": "squash"},
    "squash and cut": {"input_size": (3, 32, 32), "crop_pct": 0.8, "crop_mode": "squash"},
    "border": {"input_size": (3, 32, 48), "crop_pct": 1.0, "crop_mode": "border", **GREY},
}
OPEN_CLIP = {
    "shortest": {"size": 33, "resize_mode": "shortest"},
    "longest": {"size": (32, 40), "resize_mode": "longest", "interpolation": "bilinear", "fill_color": 7},
    "squash": {"size": (24, 40), "resize_mode": "squash"},
    "random": {"size": 32, "interpolation": "random"},
}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": ("vit", {"size": {"height": 24, "width": 40}}),
    "CLIP": ("clip", {"size": {"shortest_edge": 40}, "crop_size": {"height": 33, "width": 31}}),
    "DeiT": ("deit", {"size": {"height": 37, "width": 37}, "crop_size": {"height": 32, "width": 32}}),
    "Siglip": ("siglip", {"size": {"height": 32, "width": 32}, "resample": 2}),
    "ConvNext small": ("convnext", {"size": {"shortest_edge": 32}, "crop_pct": 0.9}),
    "ConvNext large": ("convnext", {"size": {"shortest_edge": 384}}),
    "Bit unnormalised": ("bit", {"size": {"shortest_edge": 35}, "crop_size": 32, "do_normalize": False}),
}


def processor(which: str) -> Any:
    import transformers

    module, stated = TRANSFORMERS[which]
    name = f"{which.split(maxsplit=1)[0]}ImageProcessorPil"
    home = getattr(transformers.models, module)
    return getattr(getattr(home, f"image_processing_pil_{module}"), name)(**stated)


def expect_equal(transform: Any, preparation: Preparation, goldens: list[Path]) -> None:
    takes = preparation.contract("the network")
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (takes.mean, takes.std))
    for file in goldens:
        with Image.open(file) as picture:
            expected = transform(picture.convert("RGB")).numpy()
        pixels = (decode(file, takes).transpose(2, 0, 1).astype(np.float32) / np.float32(255) - mean) / std
        np.testing.assert_allclose(pixels, expected, atol=2e-6, err_msg=f"{file.name}: {takes.in_words}")


@pytest.mark.parametrize("which", TIMM)
def test_timms_preparation_is_its_own_codes(which: str, goldens: list[Path], across_first: None) -> None:
    import_timm()
    expect_equal(timm_transform(TIMM[which]), timm_preparation(TIMM[which]), goldens)


@pytest.mark.parametrize("which", OPEN_CLIP)
def test_open_clips_preparation_is_its_own_codes(which: str, goldens: list[Path], across_first: None) -> None:
    open_clip_for("tests")
    whole = {"interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0, **GREY, **OPEN_CLIP[which]}
    expect_equal(open_clip_transform(whole), open_clip_preparation(whole), goldens)


@pytest.mark.parametrize("which", TRANSFORMERS)
def test_a_processor_of_transformers_is_understood(which: str, goldens: list[Path], across_first: None) -> None:
    made = processor(which)
    expect_equal(transformers_transform(made), stated_by(made), goldens)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"input_size": (3, 32, 32), "interpolation": "lanczos"}, "the filter lanczos, and hetero with bilinear or"),
        ({"input_size": (3, 24, 40)}, "cuts the centre out of a picture that is not square"),
        ({"input_size": (3, 32, 32), "crop_pct": 1.2}, "resizes photos to 26 x 26 and pads them with black to 32 x 32"),
        ({"input_size": (3, 32, 32), "crop_pct": 1.0, "crop_mode": "border"}, "pads with the colour [124, 116, 104]"),
        ({"input_size": (3, 32, 32), "crop_pct": 0.9, "crop_mode": "border", **GREY}, "resizes the longer side to"),
        ({"input_size": (3, 32, 32), "mean": (123.0, 117.0, 104.0)}, "mean.0"),
    ],
)
def test_what_the_contract_cannot_express_is_told(config: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        timm_preparation(config).contract("timm:net")
    assert told in str(caught.value) and "preprocessing = { height = " in str(caught.value)


@pytest.mark.parametrize(
    ("which", "stated", "told"),
    [
        ("CLIP", {"do_center_crop": False}, "it keeps the shape of each photo"),
        ("CLIP", {"do_resize": False}, "takes photos in their own sizes"),
        ("CLIP", {"do_pad": True}, "it pads images to a size beyond"),
        ("ViT", {"rescale_factor": 1 / 127.5}, "does not scale pixel values to 0..1"),
        ("ViT", {"resample": 0}, "the filter nearest"),
    ],
)
def test_what_a_processor_does_beyond_the_contract_is_told(which: str, stated: dict[str, Any], told: str) -> None:
    made = processor(which)
    for name, value in stated.items():
        setattr(made, name, value)
    with pytest.raises(InputError, match=told):
        stated_by(made).contract("hf:net")


def test_a_processor_with_steps_of_its_own_is_told() -> None:
    import transformers

    kind = transformers.models.mobilevit.image_processing_pil_mobilevit.MobileViTImageProcessorPil
    with pytest.raises(InputError, match="MobileViTImageProcessorPil has steps of its own: "):
        stated_by(kind()).contract("hf:net")
