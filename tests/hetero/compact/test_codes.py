"""Bytes and signs by hand, and searches with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hetero.compact.codes import BinaryCodes, Precision, as_stored, nearest
from hetero.data.embeddings.file import in_bytes, load_embeddings, save_embeddings
from hetero.errors import InputError
from hetero.metrics.nearest import search
from tests.hetero.compact.spaces import PARENT, vectors

ROW = np.array([[0.6, -0.8, 0.0]], np.float32)
NOBODY = np.full(5, -1, np.int64)


def test_a_byte_a_coordinate_by_hand() -> None:
    assert in_bytes(ROW).tolist() == [[95, -127, 0]]  # 0.6 / 0.8 * 127 is 95.25
    length = np.sqrt(95**2 + 127**2)
    np.testing.assert_allclose(as_stored(ROW, "int8"), [[95 / length, -127 / length, 0]], atol=1e-7)


def test_signs_around_the_mean_by_hand() -> None:
    codes = BinaryCodes.of(np.array([[0.8, 0.6], [0.6, 0.8], [0.7, 0.1]], np.float32))
    assert codes.bits.tolist() == [[0b11000000], [0b01000000], [0b00000000]]
    assert codes.signs.tolist() == [[1, 1], [-1, 1], [-1, -1]]


def test_a_file_of_bytes_is_read_as_unit_vectors(tmp_path: Path) -> None:
    file = tmp_path / "some.safetensors"
    names = [f"{row}" for row in range(len(vectors()))]
    save_embeddings(file, vectors(), names, PARENT, precision="int8")
    loaded = load_embeddings(file)
    np.testing.assert_allclose(loaded.embeddings, as_stored(vectors(), "int8"), atol=1e-6)
    assert file.stat().st_size < vectors().nbytes / 4 + 20_000  # and the names
    save_embeddings(file, vectors(), names, PARENT, precision="float16")
    np.testing.assert_array_equal(load_embeddings(file).embeddings, vectors().astype(np.float16))


def test_bytes_of_another_shape_are_refused(tmp_path: Path) -> None:
    for number, some in enumerate((np.int8(3), np.ones(3, np.int8), np.ones((2, 2, 2), np.int8))):
        save_file({"embeddings": np.asarray(some)}, tmp_path / f"{number}.safetensors")
        with pytest.raises(InputError, match=r"of shape \[images, dimensions\], got I8"):
            load_embeddings(tmp_path / f"{number}.safetensors")


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_search_is_that_of_what_is_stored(precision: Precision) -> None:
    gallery = vectors()
    rows = nearest(gallery[:5], gallery, precision, 3, exclude=np.arange(5))
    np.testing.assert_array_equal(
        rows, search(gallery[:5], as_stored(gallery, precision), 3, exclude=np.arange(5)).rows
    )


def test_signs_find_candidates_that_bytes_order() -> None:
    gallery = vectors()[:160]
    queries = vectors(1)[:5]
    exact = nearest(queries, gallery, "int8", 40, exclude=NOBODY)
    # 4 x 40 candidates are all vectors: the signs decide nothing.
    np.testing.assert_array_equal(nearest(queries, gallery, "binary", 40, exclude=NOBODY), exact)
    few = nearest(queries, gallery, "binary", 1, exclude=NOBODY)[:, 0]
    by_signs = search(queries, BinaryCodes.of(gallery).signs, 40).rows
    rounded = as_stored(gallery, "int8")
    for query, row, candidates in zip(queries, few, by_signs, strict=True):
        assert row == candidates[np.argmax(rounded[candidates] @ query)]
