"""Glyphs from an OpenType ``SVG `` table, each as a small separate document."""

from __future__ import annotations

import re
from typing import Any

_DEFINITION = re.compile(r'<(path|linearGradient|radialGradient)\b[^>]*?\bid="([^"]+)"[^>]*?(?:/>|>.*?</\1>)', re.S)
_REFERENCE = re.compile(r'(?:href="#|url\(#)([^")]+)')
_GLYPH = re.compile(r'<g id="glyph(\d+)">')


class SvgGlyphs:
    """Cuts single glyphs out of the table's documents.

    A document holds thousands of glyphs that share definitions (14 MB in Noto Color Emoji). A renderer parses all of
    it for every glyph, which takes seconds; the glyph with the definitions that it uses takes milliseconds.

    Args:
        font: A ``fontTools.ttLib.TTFont`` with an ``SVG `` table.
    """

    def __init__(self, font: Any) -> None:
        self._glyph_id = font.getReverseGlyphMap()
        self._names: dict[int, str] = font.getBestCmap()
        self._glyphs: dict[int, tuple[str, dict[str, str]]] = {}
        for document in font["SVG "].docList:
            definitions = {match[2]: match[0] for match in _DEFINITION.finditer(document.data)}
            for number, markup in _glyphs(document.data):
                self._glyphs[number] = (markup, definitions)

    def document(self, codepoint: int, view_box: str) -> str:
        """Return a complete SVG document of one character's glyph.

        Args:
            codepoint: The character.
            view_box: Value of the document's ``viewBox``, in font units with y pointing down from the baseline.
        """
        markup, definitions = self._glyphs[self._glyph_id[self._names[codepoint]]]
        used: dict[str, str] = {}
        # A shape may be defined and painted inside the glyph itself, and used again there.
        present = {match[2] for match in _DEFINITION.finditer(markup)}
        waiting = _REFERENCE.findall(markup)
        while waiting:
            name = waiting.pop()
            if name in definitions and name not in used and name not in present:
                used[name] = definitions[name]
                waiting += _REFERENCE.findall(definitions[name])
        defs = "".join(used[name] for name in sorted(used))
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{view_box}"><defs>{defs}</defs>{markup}</svg>'
        )


def _glyphs(document: str) -> list[tuple[int, str]]:
    starts = list(_GLYPH.finditer(document))
    ends = [match.start() for match in starts[1:]] + [document.rindex("</svg>")]
    return [(int(match[1]), document[match.start() : end]) for match, end in zip(starts, ends, strict=True)]
