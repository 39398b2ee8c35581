import dataclasses

import numpy as np
import pytest

from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import with_copies
from hetero.data.images import ImageSet
from hetero.errors import InputError

IMAGES = ImageSet(
    images=np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
    labels=np.array([0, 0, 1, 1, 1]),
    classes=("a", "b"),
    views=np.array([0, 1, 0, 1, 1]),
    view_names=("x", "y"),
    names=tuple("vwxyz"),
    fingerprint="f",
)
UNCHANGED = AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)


def test_copies_follow_the_images_and_keep_what_is_known_of_them():
    made = with_copies(IMAGES, 2, AugmentConfig(), seed=1)
    assert len(made) == 15 and made.images.shape == (15, 8, 8, 3)
    np.testing.assert_array_equal(made.images[:5], IMAGES.images)
    np.testing.assert_array_equal(made.labels.reshape(3, 5), np.tile(IMAGES.labels, (3, 1)))
    np.testing.assert_array_equal(made.views.reshape(3, 5), np.tile(IMAGES.views, (3, 1)))
    assert made.names[:7] == ("v", "w", "x", "y", "z", "v#1", "w#1") and len(set(made.names)) == 15
    assert not np.array_equal(made.images[5:10], made.images[10:])


def test_copies_that_change_nothing_are_the_images_again():
    made = with_copies(IMAGES, 1, UNCHANGED)
    np.testing.assert_array_equal(made.images[5:], IMAGES.images)


def test_the_seed_decides_every_copy_and_the_fingerprint_tells_sets_apart():
    one, same, other = (with_copies(IMAGES, 1, AugmentConfig(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.images[:], same.images[:])
    assert not np.array_equal(one.images[:], other.images[:])
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert with_copies(IMAGES, 1, dataclasses.replace(AugmentConfig(), blur=0.5), seed=1).fingerprint != one.fingerprint


def test_copies_that_are_not_held_are_made_when_they_are_read():
    held, made = (with_copies(IMAGES, 3, AugmentConfig(), seed=4, held_gb=limit) for limit in (2.0, 0.0))
    assert isinstance(held.images, np.ndarray) and not isinstance(made.images, np.ndarray)
    assert held.fingerprint == made.fingerprint and made.images.shape == held.images.shape
    rows = np.array([19, 0, 7, 7, 12, 4])
    np.testing.assert_array_equal(made.images[rows], held.images[rows])
    np.testing.assert_array_equal(made.images[3:17], held.images[3:17])


def test_no_copies_give_the_set_back_and_a_negative_number_is_an_error():
    assert with_copies(IMAGES, 0, AugmentConfig()) is IMAGES
    with pytest.raises(InputError, match="expected 0 or more, got -1"):
        with_copies(IMAGES, -1, AugmentConfig())
