"""Opening image files: in formats that are meant, and no larger than a machine decodes safely.

Pillow alone would try every format that it knows, whatever a file is called, and some start other programs: PostScript
named ``.jpg`` starts Ghostscript.
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
"""What is read: Pillow's name of the format -> extensions of its files. A file may be any of them by its content."""

LARGEST_PIXELS = 1 << 27
"""Of one image, 134 million: cameras of 108 million pixels fit in, and decoding takes less than a gigabyte."""


def open_image(source: Path | BufferedReader | BytesIO) -> Image.Image:
    """Open an image file; its pixels are decoded when they are first needed.

    Args:
        source: A path, or a file that can be read from any place.

    Raises:
        ValueError: For another format, or more than :data:`LARGEST_PIXELS`.
        Exception: What else Pillow raises on damaged files.
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
