"""ExecuTorch's runtime on this machine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.kinds.interface import INPUT, OUTPUT, TensorEntry

_KINDS: dict[int, Any] = {0: "uint8", 6: "float32"}
"""Numbers of torch's types."""


class Loaded:
    """A file that is loaded for one thread.

    Args:
        content: The file.

    Raises:
        RuntimeError: If the runtime refuses it.
    """

    def __init__(self, content: bytes) -> None:
        runtime, engine = _imported()
        engine._unsafe_reset_threadpool(1)
        self._program = runtime.load_program(content)  # kept, because its methods use its memory
        self._method: Any = self._program.load_method("forward")

    def signature(self) -> tuple[TensorEntry, TensorEntry]:
        """Return input and output, which have no names in the file: they are called as in other formats."""
        about = self._method.metadata
        return _entry(INPUT, about.input_tensor_meta(0)), _entry(OUTPUT, about.output_tensor_meta(0))

    def embed(self, image: UInt8[np.ndarray, "1 h w 3"]) -> Float32[np.ndarray, "1 d"]:
        """Embed one image."""
        import torch

        (vector,) = self._method.execute([torch.from_numpy(image)])
        return vector.numpy()


def embed(content: bytes, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with a model in memory."""
    loaded = Loaded(content)
    return np.concatenate([loaded.embed(images[row : row + 1].copy()) for row in range(len(images))])


def kernels() -> set[str]:
    """Return the names of the operators that the runtime has by itself, beside its backends."""
    return _imported()[0].operator_registry.operator_names


def _imported() -> tuple[Any, Any]:
    """Return the runtime, and the library below it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an interface that may change
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

    return Runtime.get(), portable_lib


def _entry(name: str, tensor: Any) -> TensorEntry:
    return TensorEntry(name, _KINDS[tensor.dtype()], tuple(tensor.sizes()))
