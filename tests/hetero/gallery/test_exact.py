from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.gallery.exact import Gallery
from hetero.space import EmbeddingSpace

SPACE = EmbeddingSpace.define(defined_by="a", name="fashion", version="1", dimension=2)
OTHER = EmbeddingSpace.define(defined_by="b", name="fashion", version="2", dimension=2)
NORTH, EAST, NORTH_EAST = [0.0, 1.0], [1.0, 0.0], [0.6, 0.8]


def vectors(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


@pytest.fixture
def gallery() -> Gallery:
    gallery = Gallery(SPACE)
    gallery.add(vectors(NORTH), ["coat"], SPACE)
    gallery.add(vectors(EAST, NORTH_EAST), ["boot", "größe 38"], SPACE)
    return gallery


def test_finds_names_best_first(gallery: Gallery) -> None:
    names, scores = gallery.search(vectors(NORTH, EAST), 2, SPACE)
    assert names == [["coat", "größe 38"], ["boot", "größe 38"]]
    assert np.allclose(scores, [[1, 0.8], [1, 0.6]])


def test_fewer_vectors_than_asked_for_are_all_found(gallery: Gallery) -> None:
    names, scores = gallery.search(vectors(NORTH), 10, SPACE)
    assert names == [["coat", "größe 38", "boot"]]
    assert scores.shape == (1, 3)


def test_refuses_another_space_naming_both(gallery: Gallery) -> None:
    for use in (lambda: gallery.add(vectors(EAST), ["x"], OTHER), lambda: gallery.search(vectors(EAST), 1, OTHER)):
        with pytest.raises(SpaceMismatchError) as caught:
            use()
        assert SPACE.space_id in str(caught.value)
        assert OTHER.space_id in str(caught.value)
    assert gallery.names == ("coat", "boot", "größe 38")


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        ([[1.0, 0.0, 0.0]], ["x"], r"float32 \[n, 2\], got float32 \[1, 3\]"),
        ([[3.0, 4.0]], ["x"], "row 0 has length 5: normalise"),
        ([EAST, [np.nan, 0.0]], ["x", "y"], "1 vectors are not finite, the first is row 1"),
        ([EAST], ["x", "y"], "got 2 names for 1 vectors"),
        ([EAST], ["boot"], r"1 names are taken or given twice, for instance \['boot'\]"),
        ([EAST, NORTH], ["x", "x"], r"1 names are taken or given twice, for instance \['x'\]"),
    ],
)
def test_refuses_what_does_not_belong_and_stays_as_it_was(
    gallery: Gallery, rows: list[list[float]], names: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        gallery.add(vectors(*rows), names, SPACE)
    assert len(gallery) == 3
    assert gallery.embeddings.shape == (3, 2)


def test_refuses_an_empty_gallery_and_k(gallery: Gallery) -> None:
    with pytest.raises(InputError, match=r"(?s)gallery is empty.*k: expected at least 1, got 0"):
        Gallery(SPACE).search(vectors(EAST), 0, SPACE)


def test_does_not_change_when_the_callers_array_does(gallery: Gallery) -> None:
    mine = vectors(EAST)
    gallery.add(mine, ["mine"], SPACE)
    mine[:] = 0
    assert gallery.embeddings[-1].tolist() == EAST


def test_survives_the_disk(gallery: Gallery, tmp_path: Path) -> None:
    gallery.save(tmp_path / "gallery")
    again = Gallery.load(tmp_path / "gallery")
    assert again.names == gallery.names
    assert again.space == SPACE
    assert again.embeddings.tobytes() == gallery.embeddings.tobytes()
    again.add(vectors(NORTH_EAST), ["new"], SPACE)
    again.save(tmp_path / "gallery")
    assert Gallery.load(tmp_path / "gallery").names == (*gallery.names, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery"]


def test_an_empty_gallery_survives_too(tmp_path: Path) -> None:
    Gallery(SPACE).save(tmp_path / "gallery")
    assert len(Gallery.load(tmp_path / "gallery")) == 0


@pytest.mark.parametrize("name", ["gallery.safetensors", "space.json"])
def test_one_flipped_byte_is_noticed(gallery: Gallery, tmp_path: Path, name: str) -> None:
    gallery.save(tmp_path / "gallery")
    path = tmp_path / "gallery" / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=f"damaged.*\n.*{name}: its SHA-256 is not"):
        Gallery.load(tmp_path / "gallery")


def test_missing_and_foreign_directories(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a gallery at .*found no gallery\.json"):
        Gallery.load(tmp_path)
    gallery.save(tmp_path / "gallery")
    (tmp_path / "gallery" / "gallery.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"gallery\.safetensors: missing"):
        Gallery.load(tmp_path / "gallery")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"precious")
    with pytest.raises(InputError, match="is not a gallery"):
        gallery.save(tmp_path / "photos")
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"precious"


def test_a_wrong_index_is_refused(gallery: Gallery, tmp_path: Path) -> None:
    gallery.save(tmp_path / "gallery")
    index = tmp_path / "gallery" / "gallery.json"
    index.write_text(index.read_text().replace('"count": 3', '"count": 4'))
    with pytest.raises(IntegrityError, match=r"holds 3 vectors, gallery\.json says 4"):
        Gallery.load(tmp_path / "gallery")
    index.write_text("{}")
    with pytest.raises(IntegrityError, match="count: missing"):
        Gallery.load(tmp_path / "gallery")


def test_vectors_of_another_type_are_refused(gallery: Gallery, tmp_path: Path) -> None:
    """Listed with their digest, as whoever changed them would."""
    gallery.save(tmp_path / "gallery")
    file, index = tmp_path / "gallery" / "gallery.safetensors", tmp_path / "gallery" / "gallery.json"
    tensors = load_file(file)
    save_file({**tensors, "embeddings": tensors["embeddings"].astype(np.float16)}, file)
    record = json.loads(index.read_text())
    record["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    index.write_text(json.dumps(record))
    with pytest.raises(IntegrityError, match="expected float32 embeddings, got float16"):
        Gallery.load(tmp_path / "gallery")
