"""Gallery stores side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetero.gallery.opening import open_gallery
from tests.hetero.gallery.places import V1, names, vectors


def test_a_gallery_in_qdrant_leaves_another_whose_name_begins_alike(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    short, long = (f"qdrant:{tmp_path / 'galleries'}?name={name}" for name in ("shop", "shop-2"))
    for address in (long, short):
        with open_gallery(address, V1) as store:
            store.add(vectors(3), names(3), V1)
            store.remove(["item 2"])
    with open_gallery(long) as store:
        assert sorted(store.search(vectors(1), 3, V1).ids[0]) == ["item 0", "item 1"]
