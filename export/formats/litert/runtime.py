"""LiteRT's interpreter on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8


def embed(content: bytes, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with a model in memory."""
    loaded = interpreter(content)
    loaded.allocate_tensors()
    (taken,), (given,) = loaded.get_input_details(), loaded.get_output_details()
    scale, zero_point = given["quantization"]
    rows: list[np.ndarray] = []
    for image in images:
        loaded.set_tensor(taken["index"], image[None])
        loaded.invoke()
        row = loaded.get_tensor(given["index"])
        rows.append(row if not scale else (np.float32(scale) * (row.astype(np.float32) - zero_point)))
    return np.concatenate(rows)


def interpreter(content: bytes, **options: Any) -> Any:
    """LiteRT's interpreter with one thread."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1, **options)
