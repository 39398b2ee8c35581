"""Cloud models of your own: anything that turns images into vectors, and the space that it defines."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import nn

from hetero.data.images import Images, require_size
from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.models.cost import Cost, counted
from hetero.models.external.module_output import (
    Layout,
    described,
    device_of,
    probe_vectors,
    require_output,
    require_vectors,
)
from hetero.models.external.onnx import OnnxEmbedder
from hetero.models.weights import weights_digest
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

__all__ = ["ImageEmbedder", "ModuleEmbedder", "OnnxEmbedder", "embed_all", "unit_vectors"]

ALREADY_UNIT = 1e-6


@runtime_checkable
class ImageEmbedder(Protocol):
    """A model that was trained elsewhere.

    Attributes:
        space: The embedding space of its vectors.
        preprocessing: Decoding and resizing of its images.
    """

    space: EmbeddingSpace
    preprocessing: Preprocessing

    def embed(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, "b d"]:
        """Return vectors of RGB images, of any length; :func:`embed_all` checks and normalises them."""
        ...


class ModuleEmbedder:
    """A cloud model given as an ``nn.Module``. Its weights define the space.

    Args:
        module: Maps one tensor of images to vectors [b, d]; put into evaluation mode.
        preprocessing: Resizing of its images and, for ``normalised``, their mean and standard deviation.
        takes: ``uint8`` for uint8 [b, h, w, 3]; ``scaled`` for float32 [b, 3, h, w] in 0..1; ``normalised`` for
            these minus the preprocessing's mean, divided by its standard deviation.
        name: Name of the space, for people.
        version: Version of the space, for people.

    Raises:
        InputError: When the module cannot take such images, returns anything but one finite float32 tensor [b, d], or
            changes an image's vector from call to call or with the other images of the batch.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing,
        *,
        takes: Layout = "normalised",
        name: str = "external",
        version: str = "1",
    ) -> None:
        self._device = device_of(module)
        self.module = module.eval()
        self.preprocessing = preprocessing
        self.takes: Layout = takes
        dimension = probe_vectors(self._output, preprocessing, device=self._device, takes=takes, what="the module")
        self.space = EmbeddingSpace.define(
            defined_by=weights_digest(module),
            name=name,
            version=version,
            dimension=dimension,
            preprocessing=preprocessing.digest,
        )

    @property
    def cost(self) -> Cost:
        """The cost of an image in convolutions and linear layers, counted by running one."""
        height, width = self.preprocessing.height, self.preprocessing.width
        shape = (1, height, width, 3) if self.takes == "uint8" else (1, 3, height, width)
        dtype = torch.uint8 if self.takes == "uint8" else torch.float32
        return counted(self.module, torch.zeros(shape, dtype=dtype, device=self._device))

    def embed(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, "b d"]:
        """Return the vectors of the module."""
        # Copied, since a module may change its input in place.
        tensor = torch.from_numpy(np.array(images)).to(self._device)
        with torch.inference_mode():
            return require_output(self._output(tensor), len(images), "the module").cpu().numpy()

    def to(self, device: torch.device) -> None:
        """Move the module to a device, where its images then go, too."""
        self.module.to(device)
        self._device = device

    def _output(self, images: UInt8[torch.Tensor, "b h w 3"]) -> object:
        """Convert images to the layout that the module takes, and return its output."""
        if self.takes == "uint8":
            return self.module(images)
        scaled = images.permute(0, 3, 1, 2).float() / 255.0
        if self.takes == "scaled":
            return self.module(scaled)
        mean, std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1)
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        return self.module((scaled - mean) / std)


def embed_all(
    embedder: ImageEmbedder, images: Images, *, batch_size: int = 64, progress: str = ""
) -> Float32[np.ndarray, "n d"]:
    """Compute the unit vectors of all images, in order.

    Args:
        embedder: Any model with a space.
        images: uint8 [n, h, w, 3], resized by the model's preprocessing.
        batch_size: Images at a time.
        progress: Label of a progress bar; none when empty.

    Raises:
        InputError: When the size of the images is not the model's; when the model returns anything but a floating-point
            array, vectors of another shape, values that are not finite, or zeros.
    """
    require_size(images, embedder.preprocessing, f"the model {embedder.space.name}")
    vectors = np.empty((len(images), embedder.space.dimension), np.float32)
    for start in Bar(range(0, len(images), batch_size), desc=progress, disable=not progress, unit="batch"):
        rows = np.arange(start, min(start + batch_size, len(images)))
        vectors[rows] = embed_rows(embedder, images, rows)
    return vectors


def embed_rows(embedder: ImageEmbedder, images: Images, rows: Int64[np.ndarray, " b"]) -> Float32[np.ndarray, "b d"]:
    """Compute the unit vectors of one batch of images.

    Args:
        embedder: Any model with a space.
        images: uint8 [n, h, w, 3], resized by the model's preprocessing.
        rows: int64 [b], the images of the batch.

    Raises:
        InputError: When the model returns what :func:`embed_all` refuses.
    """
    return unit_vectors(_array(embedder.embed(images[rows])), rows, embedder.space.dimension)


def _array(output: object) -> Float32[np.ndarray, ...]:
    """Return a model's output as float32, or refuse it where it is no array of floating-point numbers."""
    if not isinstance(output, np.ndarray) or output.dtype.kind != "f":
        raise InputError(
            f"the model's embed must return a float32 array of vectors [b, d], got {described(output)}: "
            "convert it to one, for instance with tensor.float().cpu().numpy()"
        )
    return output.astype(np.float32, copy=False)


def unit_vectors(vectors: Float32[np.ndarray, ...], rows: np.ndarray, dimension: int) -> Float32[np.ndarray, "b d"]:
    """Check a model's vectors of these rows, and scale each to length one.

    Raises:
        InputError: For another shape, values that are not finite, or zero vectors; names the rows.
    """
    require_vectors(vectors.shape, len(rows), "the model", dimension)
    finite = np.isfinite(vectors).all(axis=1)
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    zero = finite & (length[:, 0] == 0)
    problems = [
        f"{int(bad.sum())} of {len(rows)} are {what}, the first is of image {int(rows[int(np.argmax(bad))])}"
        for bad, what in ((~finite, "not finite"), (zero, "zero, without a direction"))
        if bad.any()
    ]
    if problems:
        raise InputError("the model's vectors cannot be used:", problems)
    # Vectors that already have unit length stay the same, bit by bit.
    return np.where(np.abs(length - 1) <= ALREADY_UNIT, vectors, vectors / length).astype(np.float32)
