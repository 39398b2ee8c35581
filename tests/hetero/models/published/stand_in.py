"""torchvision's transforms of Pillow images, as its documentation states them, in the place of the package.

There is no torchvision beside a torch without CUDA. With this in its place the libraries' own code, which puts the
steps together, runs; what torchvision itself computes is not verified.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image

from hetero.models.backbones.packages import in_place_of_modules


class InterpolationMode(Enum):
    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def resize(image: Image.Image, size: Any, interpolation: InterpolationMode = InterpolationMode.BILINEAR) -> Image.Image:
    """An int is the shorter side, the longer one ``int(size * longer / shorter)``; a pair is height and width."""
    if isinstance(size, int):
        shorter, longer = sorted(image.size)
        other = int(size * longer / shorter)
        size = (other, size) if image.height >= image.width else (size, other)
    return image.resize((size[1], size[0]), getattr(Image.Resampling, interpolation.name))


def crop(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
    return image.crop((left, top, left + width, top + height))


def center_crop(image: Image.Image, size: Any) -> Image.Image:
    height, width = (size, size) if isinstance(size, int) else size
    assert image.height >= height and image.width >= width, "it would be padded"
    return crop(image, round((image.height - height) / 2.0), round((image.width - width) / 2.0), height, width)


def pad(image: Image.Image, padding: list[int], fill: Any = 0, padding_mode: str = "constant") -> Image.Image:
    assert padding_mode == "constant"
    left, top, right, bottom = padding
    fill = (fill,) * 3 if isinstance(fill, int) else tuple(fill)
    ground = Image.new("RGB", (image.width + left + right, image.height + top + bottom), fill)
    ground.paste(image, (left, top))
    return ground


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


class Resize(torch.nn.Module):
    def __init__(self, size: Any, interpolation: InterpolationMode = InterpolationMode.BILINEAR) -> None:
        super().__init__()
        self.size, self.interpolation = size, interpolation

    def forward(self, image: Image.Image) -> Image.Image:
        return resize(image, self.size, self.interpolation)


class CenterCrop(torch.nn.Module):
    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = size

    def forward(self, image: Image.Image) -> Image.Image:
        return center_crop(image, self.size)


class Normalize(torch.nn.Module):
    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__()
        self.mean, self.std = (torch.as_tensor(values).view(-1, 1, 1) for values in (mean, std))

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return (tensor - self.mean) / self.std


class ToTensor:
    def __call__(self, image: Image.Image) -> torch.Tensor:
        return to_tensor(image)


class Compose:
    def __init__(self, transforms: list[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for step in self.transforms:
            image = step(image)
        return image


class Unused:
    """Whatever else the libraries name when they are imported."""


class _Module(ModuleType):
    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Unused


def _module(name: str, members: dict[str, Any]) -> ModuleType:
    module = _Module(name)
    module.__dict__.update(members)
    return module


@contextmanager
def stand_in() -> Generator[None]:
    """Let imports in the block find these transforms."""
    functional = _module(
        "torchvision.transforms.functional",
        {each.__name__: each for each in (resize, crop, center_crop, pad, to_tensor, InterpolationMode)}
        | {"get_dimensions": lambda image: [3, image.height, image.width], "_interpolation_modes_from_int": None},
    )
    transforms = _module(
        "torchvision.transforms",
        {each.__name__: each for each in (Resize, CenterCrop, Normalize, ToTensor, Compose, InterpolationMode)}
        | {"functional": functional},
    )
    modules = {"torchvision": _module("torchvision", {"transforms": transforms})}
    modules |= {"torchvision.transforms": transforms, "torchvision.transforms.functional": functional}
    modules |= {name: _module(name, {}) for name in ("torchvision.datasets", "torchvision.ops", "torchvision.ops.misc")}
    with in_place_of_modules(modules):
        yield


def timm_transform(config: dict[str, Any]) -> Callable[[Image.Image], torch.Tensor]:
    """What timm makes of a network's configuration, by its own code."""
    before = {name for name in sys.modules if name.startswith("timm.data")}
    with stand_in():
        data = importlib.import_module("timm.data")
        made = data.create_transform(**data.resolve_data_config({}, pretrained_cfg=config), is_training=False)
    for name in [name for name in sys.modules if name.startswith("timm.data") and name not in before]:
        del sys.modules[name]
    return made


def open_clip_transform(config: dict[str, Any]) -> Callable[[Image.Image], torch.Tensor]:
    """What open_clip makes of a network's configuration, by its own code."""
    import open_clip

    path = Path(open_clip.__file__).parent / "transform.py"
    spec = importlib.util.spec_from_file_location("open_clip._transform_again", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look for their module.
    sys.modules[spec.name] = module
    try:
        with stand_in():
            spec.loader.exec_module(module)
        return module.image_transform_v2(module.PreprocessCfg(**config), is_train=False)
    finally:
        del sys.modules[spec.name]


def transformers_transform(processor: Any) -> Callable[[Image.Image], torch.Tensor]:
    """What an image processor of transformers makes of a picture, with Pillow."""
    return lambda image: processor(images=image, return_tensors="pt").pixel_values[0]
