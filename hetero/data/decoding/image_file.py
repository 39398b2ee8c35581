"""Opening image files: only in known formats, and no larger than a machine decodes safely.

Pillow alone would try every format that it knows, whatever a file's name, and some formats start other programs:
PostScript named ``.jpg`` starts Ghostscript.
"""

from __future__ import annotations

from io import BufferedReader, BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
    "JPEG2000": (".jp2",),
    "AVIF": (".avif",),
}
"""The formats: Pillow's name -> extensions of its files. The content of a file decides its format."""

LARGEST_PIXELS = 1 << 27
"""Most pixels of an image, 134 million: enough for cameras of 108 million, and decoded in less than a gigabyte."""


def open_image(source: Path | BufferedReader | BytesIO) -> Image.Image:
    """Open an image file; its pixels are decoded when they are first needed.

    Args:
        source: A path, or a seekable file.

    Raises:
        ValueError: For another format, or more than :data:`LARGEST_PIXELS`.
        Exception: Any other error that Pillow raises on damaged files.
    """
    try:
        image = Image.open(source, formats=list(FORMATS))
    except (UnidentifiedImageError, KeyError):  # a key: this Pillow was built without one of the formats
        raise ValueError(f"cannot identify image file: it is none of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"more pixels than the limit of {LARGEST_PIXELS:,}") from None
    if image.width * image.height > LARGEST_PIXELS:
        image.close()
        raise ValueError(f"{image.width} x {image.height} pixels, more than the limit of {LARGEST_PIXELS:,}")
    return image
