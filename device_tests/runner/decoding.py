"""This device's own way from a JPEG or PNG file to the pixels that the contract asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

_LARGEST_PIXELS = 1 << 27
"""Of one file; a bundle may come from anywhere, and this many take less than a gigabyte."""


def pixels_of(file: str, contract: dict[str, Any]) -> Any:
    """Decode and resize a file as a bundle's ``preprocess.json`` asks; returns uint8 [h, w, 3].

    Written from the contract's words alone, as an application would: it shares no code with the training side.
    """
    from PIL import Image, ImageOps

    with Image.open(file, formats=["JPEG", "PNG"]) as opened:
        if opened.width * opened.height > _LARGEST_PIXELS:
            raise ValueError(f"{opened.width} x {opened.height} pixels, more than the limit of {_LARGEST_PIXELS:,}")
        image = ImageOps.exif_transpose(opened)
        grey = contract["pad_value"]
        if image.mode == "F" or image.mode.startswith("I"):  # grey of more than 8 bits
            image = Image.fromarray(_eight_bits(np.asarray(image), contract.get("grey_range")))
        # Pillow 10.1 has a property for it; devices have older ones.
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            ground = Image.new("RGBA", image.size, (grey, grey, grey, 255))
            image = Image.alpha_composite(ground, image.convert("RGBA"))
        image = image.convert("RGB")
    width, height = contract["width"], contract["height"]
    method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[contract["filter"]]
    if contract["resize"] == "squash" or image.width * height == image.height * width:
        return np.asarray(_resized(image, width, height, method, (0, 0, image.width, image.height)))
    if contract["resize"] == "crop":
        scale = min(image.width / width, image.height / height)
        inner = min(width * scale, image.width), min(height * scale, image.height)
        left, top = (image.width - inner[0]) / 2, (image.height - inner[1]) / 2
        box = (left, top, left + inner[0], top + inner[1])
        return np.asarray(_resized(image, width, height, method, box))
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    padded = Image.new("RGB", (width, height), (grey, grey, grey))
    whole = (0, 0, image.width, image.height)
    padded.paste(_resized(image, *inner, method, whole), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return np.asarray(padded)


def _resized(image: Any, width: int, height: int, method: Any, box: Any) -> Any:
    """Across first: since Pillow 13 ``resize`` alone starts downwards with tall images, which rounds otherwise."""
    left, top, right, bottom = box
    across = image.resize((width, image.height), method, box=(left, 0, right, image.height))
    return across.resize((width, height), method, box=(0, top, width, bottom))


def _eight_bits(values: Any, grey_range: list[float] | None) -> Any:
    """Black and white at the ends of the range that the contract states; without one, the high byte of 16 bits."""
    if grey_range is None:
        return (values.astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
    low, high = grey_range
    return np.floor((values.astype(np.float64) - low) / (high - low) * 255 + 0.5).clip(0, 255).astype(np.uint8)


def decoder() -> str:
    """What decodes files here; empty where nothing does."""
    try:
        from PIL import Image, __version__, features
    except ImportError:
        return ""
    jpeg = features.version("libjpeg_turbo") or features.version("jpg")
    return f"Pillow {__version__} (libjpeg {jpeg})" if Image else ""
