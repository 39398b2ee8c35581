"""Text of unknown origin, made harmless for where people read it: one function for terminals, one for Markdown.

Pages escape HTML by themselves; they too show no character that :func:`shown` would not.
"""

from __future__ import annotations

import re
import sys

# Controls but line feed and tab, what turns the direction of writing or hides text, and lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# HTML, the end of a table's cell, and what makes a link or a picture of brackets; such entities are never structure.
_MARKDOWN = re.compile(r"[&<|]|\](?=[(\[:])")


def shown(text: str) -> str:
    r"""Text that a terminal shows and does not obey: ``\x1b`` stands where an escape character stood."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The same on one line, so that no text looks like a line of its own."""
    return " ".join(shown(text).split())


def is_one_line(text: str) -> bool:
    """True if a text has no further line, and every character of it is seen as it is."""
    return _UNSEEN.search(text) is None and "\n" not in text and "\t" not in text


def in_markdown(text: str) -> str:
    """Text on one line of Markdown that is text there: no HTML, no link, no picture, no end of a table's cell."""
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", one_line(text))


def say(text: str, *, error: bool = False) -> None:
    """Print text of unknown origin.

    Args:
        text: May have several lines.
        error: Print to the standard error.
    """
    print(shown(text), file=sys.stderr if error else sys.stdout)
