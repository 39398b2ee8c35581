"""The self-test's images: far apart, small, of several shapes, and with torch's vector of each."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.app.self_test import SelfTest, self_tests, write_self_tests
from export.bundle.reading import read_bundle
from hetero.data.decoding.decode import resized
from hetero.errors import IntegrityError
from hetero.preprocessing import Preprocessing
from tests.export.bundles import PREPROCESSING, goldens, relist, write_bundle

LARGE = Preprocessing(height=128, width=128)


def pictures(tests: list[SelfTest]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(one.png)) for one in tests]


def mean_colours(images: np.ndarray) -> np.ndarray:
    """Stand in for a model: the mean colour and 1, of length one."""
    means = np.concatenate([images.mean(axis=(1, 2)) / 255, np.ones((len(images), 1))], axis=1)
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


# Rows 0 and 1 are near each other, 2 is opposite, 3 between them.
EMBEDDINGS = np.array([[1, 0, 0, 0], [0.8, 0.6, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0]], np.float32)


def test_large_pictures_shrink_and_each_has_the_vector_of_what_the_contract_makes_of_it(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "bundle")
    noise = np.random.default_rng(0).integers(0, 256, size=(4, 128, 128, 3), dtype=np.uint8)
    write_self_tests(path, noise, EMBEDDINGS, LARGE, mean_colours)
    relist(path)
    tests = self_tests(read_bundle(path))
    assert [picture.size for picture in pictures(tests)] == [(64, 64), (48, 64), (64, 48)]
    assert all(len(one.png) <= 24 << 10 for one in tests)
    prepared = np.stack([resized(picture, LARGE) for picture in pictures(tests)])
    assert np.array_equal([np.frombuffer(one.vector, "<f4") for one in tests], mean_colours(prepared))


def test_the_images_lie_far_apart(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "bundle")
    seen: list[np.ndarray] = []
    grey = np.repeat(np.arange(4, dtype=np.uint8), 128 * 128 * 3).reshape(4, 128, 128, 3)

    def embed(images: np.ndarray) -> np.ndarray:
        seen.extend(images)
        return mean_colours(images)

    write_self_tests(path, grey, EMBEDDINGS, Preprocessing(128, 128, resize="squash"), embed)
    assert [int(image.max()) for image in seen] == [0, 2, 3]


def test_an_older_bundle_gives_whole_golden_images(tmp_path: Path) -> None:
    tests = self_tests(read_bundle(write_bundle(tmp_path / "bundle")))
    written = goldens()
    for one, picture in zip(tests, pictures(tests), strict=True):
        row = next(row for row, image in enumerate(written.golden_images) if np.array_equal(image, np.asarray(picture)))
        assert one.vector == written.golden_embeddings[row].astype("<f4").tobytes()


@pytest.mark.parametrize(("name", "content"), [("0.png", b"GIF89a"), ("1.f32", bytes(12))])
def test_a_file_that_is_no_image_or_no_vector_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = write_bundle(tmp_path / "bundle")
    write_self_tests(path, goldens().golden_images, goldens().golden_embeddings, PREPROCESSING, mean_colours)
    (path / "selftest" / name).write_bytes(content)
    relist(path)
    with pytest.raises(IntegrityError, match=name):
        self_tests(read_bundle(path))
