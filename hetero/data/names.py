"""The characters of names.

Names may look the same and differ: Unicode writes an accented letter as one character (NFC) or as two (NFD).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from hetero.errors import InputError


def composed(name: str) -> str:
    """Return the name with each accented letter as one character: equal for names that look the same."""
    return unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Return True if a name can be written as UTF-8; one that was read from other bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_telling_apart(names: Iterable[str], what: str) -> None:
    """Refuse different names that look the same.

    Args:
        names: Unique names.
        what: The named things in the message, for instance ``classes of photos``.

    Raises:
        InputError: With each pair, written with escapes.
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        alike.setdefault(composed(name), []).append(name)
    problems = [" and ".join(ascii(name) for name in group) for group in alike.values() if len(group) > 1]
    if problems:
        raise InputError(
            f"{what} have names that look the same and are written differently (Unicode NFC and NFD); "
            "rename one of each to the other:",
            problems,
        )
