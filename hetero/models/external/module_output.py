"""The output of a module for images, probed before a space or a file is built on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.preprocessing import Preprocessing

Layout = Literal["uint8", "scaled", "normalised"]
LAYOUTS: Mapping[Layout, str] = {
    "uint8": "uint8 [b, h, w, 3]",
    "scaled": "float32 [b, 3, h, w] in 0..1",
    "normalised": "float32 [b, 3, h, w] in 0..1, less the mean, divided by the deviation",
}

PROBED_IMAGES = 2
REPEATED = 1e-4
"""Largest share of its length by which an image's vector may change from call to call: GPUs add up in no fixed
order."""
ALONE = 1e-2
"""Largest share by which it may change with the rest of its batch: kernels, and their rounding, depend on the size."""
_SHOWN = 4
_SHOWN_LETTERS = 500


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's first weight; the CPU when it has none.

    Raises:
        InputError: When a weight is on the meta device and so has no values.
    """
    tensors = [*module.named_parameters(), *module.named_buffers()]
    empty = [name for name, tensor in tensors if tensor.is_meta]
    if empty:
        raise InputError(
            f"{len(empty)} of the module's {len(tensors)} weights are on the meta device and have no values, "
            f"the first is {empty[0]}: load them first, for instance with load_state_dict(..., assign=True)"
        )
    return tensors[0][1].device if tensors else torch.device("cpu")


def probe_vectors(
    call: Callable[[UInt8[Tensor, "b h w 3"]], object],
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    takes: Layout,
    what: str,
    dimension: int | None = None,
) -> int:
    """Run a module on two images of noise, and refuse it when its output cannot be used as vectors.

    Args:
        call: The module, including the conversion of its input.
        preprocessing: Gives the size of the images.
        device: Device of the images.
        takes: Layout of the module's input.
        what: Name of the module in messages, for instance ``the module``.
        dimension: Required dimension of the vectors; None for any.

    Returns:
        The dimension of the vectors.

    Raises:
        InputError: When the module cannot take the images, returns anything but a finite float32 tensor [b, d], or
            changes an image's vector from call to call or with the other images of the batch.
    """
    shape = (PROBED_IMAGES, preprocessing.height, preprocessing.width, 3)
    # Noise, since a module may divide by an image's own deviation, which a plain image does not have.
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = torch.from_numpy(noise).to(device)

    def vectors(count: int) -> Float32[Tensor, "b d"]:
        try:
            # Not in inference mode: lazy modules create their weights now, and those must stay usable outside of it.
            with torch.no_grad():
                output = call(images[:count].clone())
        except InputError:
            raise
        except Exception as error:  # modules raise exceptions of all kinds
            text = f"{type(error).__name__}: {str(error).strip()[:_SHOWN_LETTERS]}"
            raise InputError(
                f"{what} cannot take the images that takes={takes!r} gives it, {LAYOUTS[takes]}: {text}"
            ) from error
        result = require_output(output, count, what, dimension)
        if not bool(torch.isfinite(result).all()):
            raise InputError(
                f"{what} gives values that are not finite for ordinary images: check its weights, and that it takes "
                f"{LAYOUTS[takes]}, as takes={takes!r} gives it"
            )
        return result

    first, again, alone = vectors(PROBED_IMAGES), vectors(PROBED_IMAGES), vectors(1)
    if (change := _largest_change(first, again)) > REPEATED:
        raise InputError(
            f"{what} gives another vector for the same image at every call, {change:.1%} of its length apart, although "
            "in evaluation mode: switch off what is random or remembers earlier calls, for instance "
            "functional.dropout without training=self.training, or a train() that ignores its mode"
        )
    if (change := _largest_change(first[:1], alone)) > ALONE:
        raise InputError(
            f"{what} gives an image another vector when other images are in its batch, {change:.1%} of its length "
            "apart, although in evaluation mode: let nothing mix images, for instance batch norm over the batch's own "
            "statistics (track_running_stats=False, or training=True)"
        )
    return first.shape[1]


def require_output(output: object, images: int, what: str, dimension: int | None = None) -> Float32[Tensor, "b d"]:
    """Refuse any output but one float32 tensor with a vector for each image.

    Raises:
        InputError: With a description of the output, and a remedy.
    """
    if not isinstance(output, Tensor):
        raise InputError(
            f"{what} must return one float32 tensor of vectors [b, d], got {described(output)}: "
            "wrap it in a module whose forward returns that tensor alone"
        )
    require_vectors(tuple(output.shape), images, what, dimension)
    if output.dtype != torch.float32:
        raise InputError(
            f"{what} must return one float32 tensor of vectors [b, d], got {described(output)}: call its .float() "
            "when its weights have that type too, or wrap it in a module whose forward returns output.float()"
        )
    return output


def require_vectors(shape: tuple[int, ...], images: int, what: str, dimension: int | None = None) -> None:
    """Refuse an output that is not one vector for each image.

    Raises:
        InputError: When ``shape`` is not ``(images, dimension)``.
    """
    if len(shape) != 2 or shape[0] != images or shape[1] < 1 or dimension not in (None, shape[1]):
        expected = f"[{images}, {'d' if dimension is None else dimension}]"
        raise InputError(
            f"{what} must give one vector an image, {expected}; got {list(shape)}: pool or flatten its output"
        )


def described(output: Any) -> str:
    """Describe a model's output in words, such as ``a tuple of float32 [2, 16], float32 [2, 16]``."""
    if output is None:
        return "None"
    if isinstance(output, Tensor):
        return f"{str(output.dtype).removeprefix('torch.')} {list(output.shape)}"
    if isinstance(output, np.ndarray):
        return f"an array of {output.dtype} {list(output.shape)}"
    if isinstance(output, Mapping):
        parts = [f"{key}: {described(value)}" for key, value in output.items()]
    elif isinstance(output, tuple | list):
        parts = [described(value) for value in output]
    else:
        return f"an object of type {type(output).__name__}"
    rest = [f"and {len(parts) - _SHOWN} more"] if len(parts) > _SHOWN else []
    return f"a {type(output).__name__} of {', '.join([*parts[:_SHOWN], *rest]) or 'nothing'}"


def _largest_change(these: Float32[Tensor, "b d"], those: Float32[Tensor, "b d"]) -> float:
    """Return the largest distance between two rows, as a share of the longer one's length."""
    longest = torch.maximum(these.norm(dim=1), those.norm(dim=1)).clamp(min=torch.finfo(torch.float32).tiny)
    return float(((these - those).norm(dim=1) / longest).max())
