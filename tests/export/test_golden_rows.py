"""Golden images that are retrieval images are stored once, and read as if they were there twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from export.bundle.goldens import Goldens
from export.bundle.reading import read_bundle
from hetero.errors import IntegrityError
from tests.export.bundles import goldens, relist, write_bundle

ROWS = [4, 1]


def among() -> Goldens:
    """Goldens whose images are rows 4 and 1 of the retrieval images."""
    made = goldens()
    return dataclasses.replace(
        made, golden_images=made.retrieval_images[ROWS], golden_embeddings=made.retrieval_student[ROWS]
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def stored(bundle: Path, made: Goldens) -> dict[str, np.ndarray]:
    made.save(bundle / "goldens.safetensors")
    relist(bundle)
    return load_file(bundle / "goldens.safetensors")


def test_rows_replace_copies_and_come_back(bundle: Path) -> None:
    tensors = stored(bundle, among())
    assert tensors["golden_rows"].tolist() == ROWS
    assert not {"golden_images", "golden_embeddings"} & set(tensors)
    read = read_bundle(bundle).goldens
    assert np.array_equal(read.golden_images, among().golden_images)
    assert np.array_equal(read.golden_embeddings, among().golden_embeddings)


def test_a_vector_that_is_not_the_rows_own_is_kept(bundle: Path) -> None:
    swapped = among().golden_embeddings[::-1].copy()
    tensors = stored(bundle, dataclasses.replace(among(), golden_embeddings=swapped))
    assert "golden_rows" not in tensors
    assert np.array_equal(read_bundle(bundle).goldens.golden_embeddings, swapped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"golden_rows": np.array([6])}, "must be rows of the retrieval images"),
        ({"golden_rows": np.array([-1])}, "must be rows of the retrieval images"),
        ({"golden_rows": np.array([0.0], np.float32)}, "must be rows of the retrieval images"),
        ({"golden_rows": np.array([], np.int64)}, "golden_images: is empty"),
        ({"golden_images": np.zeros((2, 6, 5, 3), np.uint8)}, "golden_rows and golden_images"),
        ({"golden_tensors": np.zeros((3, 3, 6, 5), np.float32)}, "golden_tensors: expected those of one"),
        ({"golden_tensors": np.zeros((0, 3, 6, 5), np.float32)}, "golden_tensors: expected those of one"),
    ],
)
def test_rows_and_tensors_of_no_golden_image_are_refused(
    bundle: Path, change: dict[str, np.ndarray], message: str
) -> None:
    save_file(stored(bundle, among()) | change, bundle / "goldens.safetensors")
    relist(bundle)
    with pytest.raises(IntegrityError, match=message):
        _ = read_bundle(bundle).goldens


def test_the_contract_is_held_against_the_images_that_have_tensors() -> None:
    from device_tests.checks.preprocessing import tensor_problems
    from hetero.preprocessing import Preprocessing

    contract = Preprocessing(height=6, width=5)
    images = among().golden_images
    tensors = ((images[:1].transpose(0, 3, 1, 2) / 255 - 0.5) / 0.5).astype(np.float32)
    made = dataclasses.replace(among(), golden_tensors=tensors)
    assert not tensor_problems(made, contract)
    assert tensor_problems(made, dataclasses.replace(contract, mean=(0.4, 0.5, 0.5)))
