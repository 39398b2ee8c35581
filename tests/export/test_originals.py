"""Original files of queries: packed into a retrieval set, laid out in a bundle, refused when they do not fit."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.bundle.goldens import RetrievalSet
from export.bundle.originals import original_rows, write_originals
from export.bundle.reading import read_bundle
from hetero.errors import IntegrityError
from tests.export.bundles import relist, retrieval_set, write_bundle


def encoded(format: str, seed: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 8, 3), np.uint8)).save(stream, format)
    return stream.getvalue()


ORIGINALS = {1: encoded("png"), 4: encoded("jpeg")}


def test_a_retrieval_set_keeps_them(tmp_path: Path) -> None:
    made = dataclasses.replace(retrieval_set(), originals=ORIGINALS)
    made.save(tmp_path / "set.safetensors")
    assert RetrievalSet.load(tmp_path / "set.safetensors").originals == ORIGINALS
    retrieval_set().save(tmp_path / "none.safetensors")
    assert RetrievalSet.load(tmp_path / "none.safetensors").originals == {}


@pytest.mark.parametrize(("originals", "told"), [({9: encoded("png")}, "outside"), ({0: b"GIF89a"}, "neither PNG")])
def test_a_retrieval_set_refuses_others(tmp_path: Path, originals: dict[int, bytes], told: str) -> None:
    with pytest.raises(IntegrityError, match=told):
        dataclasses.replace(retrieval_set(), originals=originals).save(tmp_path / "set.safetensors")


def test_a_bundle_names_them_by_row(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    assert read_bundle(bundle).originals == {}
    write_originals(bundle, ORIGINALS)
    relist(bundle)
    found = read_bundle(bundle).originals
    assert {row: path.read_bytes() for row, path in found.items()} == ORIGINALS
    assert [path.name for path in found.values()] == ["000001.png", "000004.jpg"]


@pytest.mark.parametrize(
    ("names", "content", "told"),
    [
        (["originals/000006.png"], encoded("png"), "rows below 6"),
        (["originals/1.png"], encoded("png"), "rows below 6"),
        (["originals/000001.jpg", "originals/000001.png"], encoded("png"), "rows below 6"),
        (["originals/000001.jpg"], encoded("png"), "is not a jpg file"),
    ],
)
def test_a_bundle_refuses_others(tmp_path: Path, names: list[str], content: bytes, told: str) -> None:
    paths = {name: tmp_path / name for name in names}
    for path in paths.values():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(IntegrityError, match=told):
        original_rows(paths, 6)
