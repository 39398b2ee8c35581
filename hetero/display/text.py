"""Text of unknown origin, made harmless for its place of display: one function for terminals, one for Markdown.

Pages escape HTML by themselves; they too pass values through :func:`shown`.
"""

from __future__ import annotations

import re
import sys

# Controls except line feed and tab, characters that change the direction of writing or hide text, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# HTML, the end of a table's cell, and brackets that make a link or a picture; as entities they are plain text.
_MARKDOWN = re.compile(r"[&<|]|\](?=[(\[:])")


def shown(text: str) -> str:
    r"""Escape characters that a terminal would obey and not show: ``\x1b`` for an escape character."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Escape text and join it to one line, so that no part of it looks like a separate line."""
    return " ".join(shown(text).split())


def is_one_line(text: str) -> bool:
    """Return True if a text is a single line without any character that :func:`shown` would escape."""
    return _UNSEEN.search(text) is None and "\n" not in text and "\t" not in text


def in_markdown(text: str) -> str:
    """Escape text for one line of Markdown: no HTML, no link, no picture, no end of a table's cell."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", one_line(text))


def say(text: str, *, error: bool = False) -> None:
    """Print text of unknown origin.

    Args:
        text: Text of one or more lines.
        error: True to print to the standard error.
    """
    print(shown(text), file=sys.stderr if error else sys.stdout)
