"""Altered copies: the queries of images without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetero.data.augmentation.altered import ALTERED, HeldImages, with_altered
from hetero.data.augmentation.copies import CopiedImages
from hetero.data.config import DataConfig
from hetero.data.images import ImageSet
from hetero.data.prepare import prepare
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from tests.hetero.data.pictures import write_flat
from tests.hetero.data.test_copies import IMAGES


def test_copies_follow_their_originals_and_keep_their_classes() -> None:
    made = with_altered(IMAGES, seed=1)
    assert made.names == (*"vwxyz", "v#1", "w#1", "x#1", "y#1", "z#1")
    np.testing.assert_array_equal(made.images[:5], IMAGES.images)
    assert made.labels.tolist() == [0, 0, 1, 1, 1] * 2 and made.views.tolist() == [0] * 5 + [1] * 5
    assert (made.images[:5] != made.images[5:]).any(axis=(1, 2, 3)).all()
    with pytest.raises(InputError, match="names of changed copies"):
        with_altered(made, seed=1)


def test_what_is_held_is_what_is_made() -> None:
    made = with_altered(IMAGES, seed=1).images
    assert isinstance(made, HeldImages) and made.shape == (10, 8, 8, 3) and len(made) == 10
    lazy = made._images
    assert isinstance(lazy, CopiedImages)
    for rows in (np.array([7, 2, 9, 7]), np.arange(10), slice(3, 8)):
        np.testing.assert_array_equal(made[rows], lazy[rows])


def test_another_model_sees_the_same_picture_altered_in_the_same_way(tmp_path: Path) -> None:
    """Means over a grid of the larger input lie near the smaller one's pixels, and nearer than any other copy's."""
    root = write_flat(tmp_path / "photos", 30, size=(60, 44))
    config = DataConfig(kind="folder", path=str(root))
    test = prepare(config, Preprocessing(16, 16, pad_value=90), cache=tmp_path / "cache").test
    other = test.prepared_by(Preprocessing(64, 64, pad_value=90))
    assert other.names == test.names and other.images.shape == (len(test), 64, 64, 3)
    small = _grid(test, 2)
    large = _grid(other, 8)
    copies = np.arange(len(test) // 2, len(test))
    distance = np.abs(small[copies][:, None] - large[copies][None]).mean(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == np.arange(len(copies))).all()
    assert np.median(np.diag(distance)) < 4 < np.median(distance) / 4


def _grid(images: ImageSet, cell: int) -> np.ndarray:
    pixels = images.images[:].astype(np.float64)
    count, side = len(pixels), pixels.shape[1] // cell
    return pixels.reshape(count, side, cell, side, cell, 3).mean(axis=(2, 4))


def test_the_ground_is_the_models(tmp_path: Path) -> None:
    assert ALTERED.scale[0] < 1, "so that some ground comes in"
    black = ImageSet(
        np.zeros((40, 16, 16, 3), np.uint8), np.arange(40), (), np.zeros(40, np.int64), ("",),
        tuple(map(str, range(40))), "f", Preprocessing(16, 16, pad_value=0),
    )  # fmt: skip
    assert not with_altered(black, seed=0).images[:].any()
