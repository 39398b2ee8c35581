"""LiteRT's interpreter on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8


def embed(content: bytes, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with a model in memory."""
    reader = interpreter(content)
    reader.allocate_tensors()
    (input_details,), (output_details,) = reader.get_input_details(), reader.get_output_details()
    scale, zero_point = output_details["quantization"]
    rows: list[np.ndarray] = []
    for image in images:
        reader.set_tensor(input_details["index"], image[None])
        reader.invoke()
        row = reader.get_tensor(output_details["index"])
        rows.append(row if not scale else (np.float32(scale) * (row.astype(np.float32) - zero_point)))
    return np.concatenate(rows)


def interpreter(content: bytes, **options: Any) -> Any:
    """Return LiteRT's interpreter with one thread."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1, **options)
