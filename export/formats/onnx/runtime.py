"""ONNX files in memory, and ONNX Runtime on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8


def embed(content: bytes, images: UInt8[np.ndarray, "n h w 3"], *, exact: bool = False) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with a model in memory.

    Args:
        content: Content of the model's file.
        images: Images to embed.
        exact: True to keep all bits of int8 sums, as on a phone. x86 processors without VNNI saturate them otherwise.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (name,) = [taken.name for taken in session.get_inputs()]
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def parse(content: bytes) -> Any:
    """Return an ``onnx.ModelProto``."""
    import onnx

    return onnx.load_from_string(content)
