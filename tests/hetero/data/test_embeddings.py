from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hetero.data.embeddings import aligned, load_embeddings, save_embeddings
from hetero.data.images import ImageSet
from hetero.errors import InputError, IntegrityError
from hetero.space import EmbeddingSpace

SPACE = EmbeddingSpace.define(defined_by="ab", name="cloud", version="1", dimension=3)
NAMES = ("b.jpg", "a.jpg", "ü/ß.jpg")


def vectors(rows: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)


def image_set(*names: str) -> ImageSet:
    zeros = np.zeros(len(names), np.int64)
    return ImageSet(np.zeros((len(names), 2, 2, 3), np.uint8), zeros, ("c",), zeros, ("",), names, "f")


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_embeddings(path, vectors(), NAMES, SPACE)
    read = load_embeddings(path)
    assert np.array_equal(read.embeddings, vectors()) and read.names == NAMES and read.space == SPACE
    assert [file.name for file in tmp_path.iterdir()] == ["e.safetensors"]


def test_rows_follow_the_image_set_and_have_unit_length(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.safetensors", vectors(), NAMES, SPACE)
    rows = aligned(load_embeddings(tmp_path / "e.safetensors"), image_set("ü/ß.jpg", "b.jpg"))
    expected = vectors()[[2, 0]]
    assert rows.dtype == np.float32
    assert np.allclose(rows, expected / np.sqrt((expected**2).sum(1, keepdims=True)), atol=1e-6)
    save_embeddings(tmp_path / "unit.safetensors", rows, NAMES[:2], SPACE)
    again = aligned(load_embeddings(tmp_path / "unit.safetensors"), image_set(*NAMES[:2]))
    assert np.array_equal(again, rows), "unit vectors stay as they are, bit by bit"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npy_with_names_beside_it(tmp_path: Path, dtype: type) -> None:
    np.save(tmp_path / "clip.npy", vectors().astype(dtype))
    (tmp_path / "clip.txt").write_text("\n".join(NAMES), encoding="utf-8")
    read = load_embeddings(tmp_path / "clip.npy")
    assert read.names == NAMES and read.embeddings.dtype == np.float32
    assert (read.space.name, read.space.dimension) == ("clip", 3)
    (tmp_path / "clip.txt").unlink()
    (tmp_path / "clip.csv").write_text("label,path\n" + "\n".join(f"0,{name}" for name in NAMES), encoding="utf-8")
    assert load_embeddings(tmp_path / "clip.npy").names == NAMES


def test_the_space_of_a_plain_file_follows_from_its_content(tmp_path: Path) -> None:
    for name, scale in (("one", 1), ("same", 1), ("other", 2)):
        save_file({"embeddings": vectors() * np.float32(scale)}, tmp_path / f"{name}.safetensors")
        (tmp_path / f"{name}.txt").write_text("\n".join(NAMES), encoding="utf-8")
    one, same, other = (load_embeddings(tmp_path / f"{name}.safetensors").space for name in ("one", "same", "other"))
    assert one.space_id == same.space_id != other.space_id


def test_missing_images_are_named(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.safetensors", vectors(), NAMES, SPACE)
    wanted = [f"{number}.jpg" for number in range(25)]
    with pytest.raises(
        InputError, match="25 of 26 images have no embedding; the file's names look like 'b.jpg'"
    ) as caught:
        aligned(load_embeddings(tmp_path / "e.safetensors"), image_set("a.jpg", *wanted))
    assert caught.value.problems == (*wanted[:10], "... and 15 more")


def test_all_that_is_wrong_with_the_values_comes_together(tmp_path: Path) -> None:
    broken = vectors(4)
    broken[1, 2], broken[3] = np.nan, 0
    with pytest.raises(InputError) as caught:
        save_embeddings(
            tmp_path / "e.safetensors",
            broken,
            ["a", "b", "a"],
            EmbeddingSpace.define(defined_by="ab", name="n", version="1", dimension=8),
        )
    problems = "\n".join(caught.value.problems)
    for part in (
        "4 embeddings but 3 names",
        "names repeat, for instance 'a'",
        "space of 8 dimensions",
        "first is row 1",
        "first is row 3",
    ):
        assert part in problems
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def refused(path: Path, message: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=message):
            load_embeddings(path)

    refused(tmp_path / "missing.npy", "found nothing")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused(tmp_path / "objects.npy", "not a plain .npy array", IntegrityError)
    np.save(tmp_path / "unnamed.npy", vectors())
    refused(tmp_path / "unnamed.npy", "write the names, one a line in the rows' order, to unnamed.txt")
    (tmp_path / "unnamed.csv").write_text("file\na\n")
    refused(tmp_path / "unnamed.csv", "expected a .safetensors or a .npy")
    refused(tmp_path / "unnamed.npy", "expected a column 'name' or 'path', got file")
    np.save(tmp_path / "flat.npy", np.zeros(3, np.float32))
    refused(tmp_path / "flat.npy", r"got float32 \[3\]")
    np.save(tmp_path / "whole.npy", np.zeros((3, 3), np.int64))
    refused(tmp_path / "whole.npy", "expected floating-point embeddings")
    save_file({"features": vectors()}, tmp_path / "other.safetensors")
    refused(tmp_path / "other.safetensors", "expected a tensor 'embeddings', found features")
    save_embeddings(tmp_path / "cut.safetensors", vectors(), NAMES, SPACE)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-4])
    refused(tmp_path / "cut.safetensors", "not a whole safetensors file", IntegrityError)
    save_file({"embeddings": vectors()}, tmp_path / "bad.safetensors", metadata={"hetero": "{"})
    refused(tmp_path / "bad.safetensors", "is not a JSON object", IntegrityError)
    save_file(
        {"embeddings": vectors()},
        tmp_path / "space.safetensors",
        metadata={"hetero": '{"names":["a","b","c"],"space":{}}'},
    )
    refused(tmp_path / "space.safetensors", "the space in .* is not valid", IntegrityError)
