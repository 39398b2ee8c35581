"""What names are made of.

Names may look the same and differ: Unicode writes an accented letter in one piece (NFC) or in two (NFD).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from hetero.errors import InputError


def composed(name: str) -> str:
    """The name with accented letters in one piece: equal for names that look the same."""
    return unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; one that came from other bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_telling_apart(names: Iterable[str], what: str) -> None:
    """Refuse different names that look the same.

    Args:
        names: Unique.
        what: Says what they name, for instance ``classes of photos``.

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
