"""Bring your own cloud model: anything that turns images into vectors, and the space that it defines."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from safetensors.torch import save
from torch import nn
from tqdm import tqdm

from hetero.data.images import Images, require_size
from hetero.errors import InputError
from hetero.files import sha256_bytes
from hetero.models.external_onnx import OnnxEmbedder
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

__all__ = ["ImageEmbedder", "ModuleEmbedder", "OnnxEmbedder", "embed_all", "unit_vectors"]

ALREADY_UNIT = 1e-6
PROBED_IMAGES = 2

Layout = Literal["uint8", "scaled", "normalised"]


@runtime_checkable
class ImageEmbedder(Protocol):
    """A model that others trained.

    Attributes:
        space: What its vectors mean.
        preprocessing: How its images are decoded and resized.
    """

    space: EmbeddingSpace
    preprocessing: Preprocessing

    def embed(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, "b d"]:
        """Vectors of RGB images, of any length; :func:`embed_all` checks and normalises them."""
        ...


class ModuleEmbedder:
    """A cloud model given as an ``nn.Module``. Its weights define the space.

    Args:
        module: Maps one tensor of images to vectors [b, d]; put into evaluation mode.
        preprocessing: How its images are resized and, for ``normalised``, shifted and scaled.
        takes: ``uint8`` for uint8 [b, h, w, 3]; ``scaled`` for float32 [b, 3, h, w] in 0..1; ``normalised`` for
            these less the preprocessing's mean, divided by its standard deviation.
        name: Of the space, for people.
        version: Of the space, for people.

    Raises:
        InputError: When the module cannot take such images, or gives something other than vectors.
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
        self.module = module.eval()
        self.preprocessing = preprocessing
        self.takes: Layout = takes
        first = next(iter([*module.parameters(), *module.buffers()]), None)
        self._device = torch.device("cpu") if first is None else first.device
        probe = self._run(np.zeros((PROBED_IMAGES, preprocessing.height, preprocessing.width, 3), np.uint8))
        require_vectors(probe.shape, PROBED_IMAGES, "the module")
        self.space = EmbeddingSpace.define(
            defined_by=weights_digest(module),
            name=name,
            version=version,
            dimension=probe.shape[1],
            preprocessing=preprocessing.digest,
        )

    def embed(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, "b d"]:
        """Vectors as the module gives them."""
        return self._run(images)

    def _run(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, ...]:
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(images)).to(self._device)
            if self.takes != "uint8":
                tensor = tensor.permute(0, 3, 1, 2).float() / 255.0
            if self.takes == "normalised":
                mean, std = (
                    torch.tensor(each, device=self._device).view(1, 3, 1, 1)
                    for each in (self.preprocessing.mean, self.preprocessing.std)
                )
                tensor = (tensor - mean) / std
            try:
                result = self.module(tensor)
            except (RuntimeError, TypeError, ValueError) as error:
                raise InputError(
                    f"the module cannot take images as {tensor.dtype} {list(tensor.shape)}, "
                    f"which takes={self.takes!r} gives it: {error}"
                ) from error
        if not isinstance(result, torch.Tensor):
            raise InputError(f"the module must return one tensor of vectors [b, d], got {type(result).__name__}")
        return result.float().cpu().numpy()


def embed_all(
    embedder: ImageEmbedder, images: Images, *, batch_size: int = 64, progress: str = ""
) -> Float32[np.ndarray, "n d"]:
    """Unit vectors of all images, in order.

    Args:
        embedder: Any model with a space.
        images: uint8 [n, h, w, 3], resized as the model's preprocessing says.
        batch_size: Images at a time.
        progress: Label of a progress bar; none when empty.

    Raises:
        InputError: When the images are of another size than the model takes; when the model gives vectors of another
            shape, values that are not finite, or zeros.
    """
    require_size(images, embedder.preprocessing, f"the model {embedder.space.name}")
    vectors = np.empty((len(images), embedder.space.dimension), np.float32)
    for start in tqdm(range(0, len(images), batch_size), desc=progress, disable=not progress, unit="batch"):
        rows = np.arange(start, min(start + batch_size, len(images)))
        vectors[rows] = unit_vectors(embedder.embed(images[rows]), rows, embedder.space.dimension)
    return vectors


def unit_vectors(vectors: Float32[np.ndarray, ...], rows: np.ndarray, dimension: int) -> Float32[np.ndarray, "b d"]:
    """Check what a model gave for these rows, and scale each vector to length one.

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
    # Vectors that have unit length already stay as they are, bit by bit.
    return np.where(np.abs(length - 1) <= ALREADY_UNIT, vectors, vectors / length).astype(np.float32)


def require_vectors(shape: tuple[int, ...], images: int, what: str, dimension: int | None = None) -> None:
    """Refuse an output that is not one vector an image.

    Raises:
        InputError: When ``shape`` is not ``(images, dimension)``.
    """
    if len(shape) != 2 or shape[0] != images or shape[1] < 1 or dimension not in (None, shape[1]):
        wanted = f"[{images}, {'d' if dimension is None else dimension}]"
        raise InputError(
            f"{what} must give one vector an image, {wanted}; got {list(shape)}: pool or flatten its output"
        )


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of a module's weights as safetensors."""
    # Tied weights share memory, which safetensors refuses: hence the copies.
    return sha256_bytes(save({key: value.detach().cpu().clone() for key, value in module.state_dict().items()}))
