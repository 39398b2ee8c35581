"""The identity of any module: a digest of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hetero.errors import InputError
from hetero.files import digest, sha256_bytes


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module's weights as safetensors, and of its extra state, if any.

    It does not depend on the device, the memory format, or memory that weights share. Buffers that are not persistent
    do not count: by definition they follow from the weights, and some are filled only while a module runs.

    Raises:
        InputError: When a weight has no values yet, or cannot be written as plain numbers.
    """
    state = module.state_dict()
    weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    extra = {name: _plain(value, name) for name, value in state.items() if name not in weights}
    if empty := [name for name, value in weights.items() if value.is_meta or is_lazy(value)]:
        raise InputError(f"the weight {empty[0]} has no values yet: load the weights, or run the module once, first")
    try:
        identity = sha256_bytes(save({name: _dense(value) for name, value in weights.items()}))
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"the module's weights cannot be identified, expected tensors that safetensors can hold: {error}"
        ) from error
    return digest([identity, extra]) if extra else identity


def _dense(tensor: Tensor) -> Tensor:
    """Return a contiguous copy on the CPU: safetensors takes no other layout, and no memory that tied weights share."""
    plain = tensor.detach().cpu()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    if plain.is_quantized:
        plain = plain.dequantize()
    return plain.clone(memory_format=torch.contiguous_format)


def _plain(value: Any, place: str) -> object:
    """Return extra state as JSON, with arrays and bytes as their digests."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return ["bytes", sha256_bytes(bytes(value))]
    if isinstance(value, Tensor):
        content = _dense(value).reshape(-1).view(torch.uint8).numpy().tobytes()
        return ["tensor", str(value.dtype), list(value.shape), sha256_bytes(content)]
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return ["array", str(value.dtype), list(value.shape), sha256_bytes(value.tobytes())]
    if isinstance(value, Mapping):
        return {str(key): _plain(each, f"{place}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{place}.{index}") for index, each in enumerate(value)]
    raise InputError(
        f"the extra state {place} is a {type(value).__name__}, by which the module cannot be identified: "
        "return numbers, text, tensors, or lists and dictionaries of them from get_extra_state"
    )
