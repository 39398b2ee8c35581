"""Opening the bundles to be verified, and the space of the gallery that they will meet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError
from hetero.recognition.kinds import GALLERY, SPACE
from hetero.recognition.recognise import refuse_others
from hetero.space import EmbeddingSpace
from hetero.storage.directories import steadily


def open_bundles(paths: Sequence[Path], gallery: EmbeddingSpace | None = None) -> list[Bundle]:
    """Read bundles and check that they can be verified together.

    Raises:
        InputError: For no bundles, or two of one name.
        IntegrityError: If one is damaged.
        SpaceMismatchError: If a bundle's vectors do not belong in the gallery.
    """
    if not paths:
        raise InputError("expected at least one bundle, got none; make one with `hetero export`")
    if other := [str(path) for path in paths if not _is_utf8(path)]:
        raise InputError("expected bundles at paths of UTF-8 (and a locale of it, as LC_ALL=C.UTF-8):", other)
    bundles = [read_bundle(path) for path in paths]
    names = [bundle.manifest.name for bundle in bundles]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"expected bundles of different names, got two of {', '.join(twice)}; verify them one by one")
    for bundle in bundles:
        if gallery is not None:
            gallery.require_same(bundle.space, this="the gallery", that=f"the bundle {bundle.manifest.name}")
    return bundles


def _is_utf8(path: Path) -> bool:
    """True if a path is UTF-8, as runtimes expect: with any other, the file would seem not to load."""
    text = str(path.resolve())
    try:
        return text.encode() == os.fsencode(text)
    except UnicodeEncodeError:
        return False


def load_gallery_space(path: Path) -> EmbeddingSpace:
    """Return the space of a gallery directory, or of a ``space.json``.

    Raises:
        InputError: If there is none.
    """
    if not (path / "space.json").is_file():
        refuse_others(path, SPACE, GALLERY, what="a gallery directory or its space.json")
    return steadily(path, lambda place: EmbeddingSpace.load(place / "space.json" if place.is_dir() else place))
