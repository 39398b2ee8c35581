"""Images inside a page, without files beside it."""

from __future__ import annotations

import base64
import io

import numpy as np
from jaxtyping import UInt8


def data_uri(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """An RGB image as a PNG data URI."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
