"""Pages of HTML that stand alone: templates that escape what they show, and pictures inside."""

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
    """The templates that lie in a package, with HTML escaped and nothing in them that is not seen.

    Args:
        package: Its name.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )


def data_uri(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """An RGB image as a PNG data URI."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _seen(value: Any) -> Any:
    """What a page shows of a value; jinja escapes its HTML."""
    from markupsafe import Markup

    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value
