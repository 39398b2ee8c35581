"""The model to export: any embedding model, as one function from images to unit vectors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

import hetero
from export.bundle.manifest import Provenance
from export.kinds.format import SPACE_KEY
from hetero.errors import InputError
from hetero.files import canonical_json, read_json, sha256_file
from hetero.models.backbones.blocks import unit
from hetero.models.directory import load_model
from hetero.models.external.embedders import unit_vectors
from hetero.models.external.module_output import Layout, device_of, probe_vectors
from hetero.models.weights import weights_digest
from hetero.preprocessing import CUT_FROM_OF_CLOUDS, DESCRIBED_AS, Preprocessing
from hetero.space import EmbeddingSpace

_BATCH = 64


@dataclass(frozen=True)
class Source:
    """A model to export.

    Attributes:
        name: Name of the model and its bundle.
        module: uint8 [b, h, w, 3] to float32 unit vectors [b, d]; in evaluation mode, on the CPU.
        preprocessing: An application's preprocessing of an image for it.
        space: The embedding space of its vectors.
        digest: SHA-256 of its weights.
        provenance: Origin of the weights.
        pixels: The input of the network proper, for the goldens.

    Raises:
        InputError: If its images are prepared in a way that applications do not know.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    space: EmbeddingSpace
    digest: str
    pixels: Callable[[UInt8[Tensor, "b h w 3"]], Float[Tensor, "b 3 h2 w2"]]
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if self.preprocessing.cut_from is not None:
            raise InputError(f"{self.name}: {CUT_FROM_OF_CLOUDS}")

    def embed(self, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
        """Return unit vectors of images, computed in torch.

        Raises:
            InputError: If a vector is zero or not finite; the message names the image.
        """
        # Copied: torch warns of arrays that it could write to and must not, such as memory maps.
        parts = [torch.from_numpy(images[start : start + _BATCH].copy()) for start in range(0, len(images), _BATCH)]
        with torch.inference_mode():
            vectors = np.concatenate([self.module(part).numpy() for part in parts])
        return unit_vectors(vectors, np.arange(len(images)), self.space.dimension)

    def describe(self) -> dict[str, str]:
        """Return the contract, which is repeated inside every exported file."""
        return {
            "hetero.version": hetero.__version__,
            "hetero.model": self.name,
            SPACE_KEY: self.space.space_id,
            "hetero.space": f"{self.space.name} {self.space.version}",
            DESCRIBED_AS: canonical_json(self.preprocessing.to_dict()),
        }

    @property
    def example(self) -> UInt8[Tensor, "1 h w 3"]:
        """Return a black image to trace with."""
        shape = (1, self.preprocessing.height, self.preprocessing.width, 3)
        return torch.zeros(shape, dtype=torch.uint8)


def from_directory(directory: Path) -> Source:
    """Return a model that hetero trained.

    Raises:
        InputError: If it is not a model directory.
        IntegrityError: If a file is damaged.
    """
    model = load_model(directory)
    assert model.space is not None
    return Source(
        name=model.name,
        module=model,
        preprocessing=model.preprocessing,
        space=model.space,
        digest=sha256_file(directory / "model.safetensors"),
        pixels=model.pixels,
        provenance=_provenance(directory),
    )


def resizing(source: Source, factor: int) -> Source:
    """Return a model that takes an image ``factor`` times larger and averages it down itself: applications drift less.

    Its images have to be prepared at the larger size; everything else is unchanged.

    Raises:
        InputError: If the factor is below 2, or the model shrinks its image already.
    """
    before = source.preprocessing
    if factor < 2 or before.shrink != 1:
        raise InputError(
            f"expected a factor of 2 or more and a model that shrinks nothing yet, got {factor} and {before}"
        )
    preprocessing = replace(before, height=before.height * factor, width=before.width * factor, shrink=factor)
    # Both the project's models and wrapped modules ask their preprocessing how far to shrink.
    twin: Any = copy.deepcopy(source.module)
    twin.preprocessing = preprocessing
    return replace(source, module=twin, preprocessing=preprocessing, pixels=twin.pixels)


def from_module(
    module: nn.Module,
    preprocessing: Preprocessing,
    space: EmbeddingSpace,
    *,
    name: str,
    takes: Layout = "normalised",
    provenance: Provenance | None = None,
) -> Source:
    """Wrap any other model: timm's, a user's own.

    Args:
        module: Maps one tensor of images to vectors [b, d] of any length; put into evaluation mode, on the CPU.
        preprocessing: The resizing of its images and, for ``normalised``, mean and deviation, which go into the graph.
        space: The embedding space that its vectors belong to.
        name: Name of the model.
        takes: The module's input; see :class:`hetero.models.external.embedders.ModuleEmbedder`.
        provenance: Origin of its weights.

    Raises:
        InputError: If the module returns something other than one finite float32 tensor [b, d] of the space's
            dimension, returns another vector for an image at another call or beside other images, or has weights other
            than float32.
    """
    if takes != "normalised":
        # The contract must not name a mean and deviation that nothing applies.
        preprocessing = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    device_of(module)  # before it is moved, which needs values
    whole = _Whole(module.eval().cpu(), preprocessing, takes).eval()
    what, cpu = f"the module {name}", torch.device("cpu")
    probe_vectors(whole.output, preprocessing, device=cpu, takes=takes, what=what, dimension=space.dimension)
    _require_float32(module, what)
    return Source(name, whole, preprocessing, space, weights_digest(module), whole.pixels, provenance or Provenance())


def _require_float32(module: nn.Module, what: str) -> None:
    other = [f"{name} in {str(each.dtype).removeprefix('torch.')}" for name, each in module.named_parameters()
             if each.is_floating_point() and each.dtype != torch.float32]  # fmt: skip
    if other:
        raise InputError(f"{what} must have float32 weights, got {', '.join(other[:3])}: call its .float() first")


class _Whole(nn.Module):
    """A module with the graph's parts before and after it."""

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, preprocessing: Preprocessing, takes: Layout) -> None:
        super().__init__()
        self.module = module
        self.takes = takes
        self.preprocessing = preprocessing
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def pixels(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h2 w2"]:
        planes = images.permute(0, 3, 1, 2).float()
        factor = self.preprocessing.shrink
        scaled = (planes if factor == 1 else functional.avg_pool2d(planes, factor)) / 255.0
        return (scaled - self.mean) / self.std if self.takes == "normalised" else scaled

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        return unit(self.output(images))

    def output(self, images: UInt8[Tensor, "b h w 3"]) -> Any:
        """Return the module's own output."""
        # Copied: a module may change its input in place, which here is the caller's.
        return self.module(images.clone() if self.takes == "uint8" else self.pixels(images))


def _provenance(directory: Path) -> Provenance:
    """Return the provenance that the model directory records."""
    metrics: dict[str, Any] = read_json(path) if (path := directory / "metrics.json").is_file() else {}
    stage: dict[str, Any] = read_json(path) if (path := directory / "stage.json").is_file() else {}
    seed = metrics.get("seed")
    return Provenance(recipe=str(stage.get("identity", "")), seed=seed if isinstance(seed, int) else None)
