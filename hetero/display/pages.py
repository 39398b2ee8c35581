"""Self-contained HTML pages: templates that escape their values, and embedded pictures."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from hetero.display.text import shown

if TYPE_CHECKING:
    from jinja2 import Environment


def templates(package: str) -> Environment:
    """Load the templates of a package; they escape HTML and invisible characters in values.

    Args:
        package: Name of the package.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def data_uri(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """Encode an RGB image as a PNG data URI."""
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode('ascii')}"


def png(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Encode an RGB image as a small PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _visible(value: Any) -> Any:
    """Escape invisible characters of a value; jinja escapes its HTML."""
    from markupsafe import Markup

    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value
