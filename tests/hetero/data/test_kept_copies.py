"""Changed copies in the cache: the same images, made once, mapped by whoever reads them."""

from __future__ import annotations

import numpy as np

from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import with_copies
from tests.hetero.data.test_copies import IMAGES

CHANGE = AugmentConfig(rotation=20.0, shift=0.1, grey=0.5)


def files(cache) -> list:
    return sorted((cache / "copies").glob("*/images.npy"))


def test_they_are_those_in_memory_and_are_made_once(tmp_path, monkeypatch):
    held, kept = (with_copies(IMAGES, 3, CHANGE, seed=5, cache=cache) for cache in (None, tmp_path))
    assert isinstance(kept.images, np.memmap)
    np.testing.assert_array_equal(kept.images, held.images)
    assert (kept.fingerprint, kept.names) == (held.fingerprint, held.names)
    monkeypatch.setattr("hetero.data.augmentation.copies.augmented", None)
    np.testing.assert_array_equal(with_copies(IMAGES, 3, CHANGE, seed=5, cache=tmp_path).images, held.images)
    assert len(files(tmp_path)) == 1


def test_others_have_a_file_of_their_own_and_a_damaged_one_is_made_again(tmp_path):
    first = np.array(with_copies(IMAGES, 2, CHANGE, seed=5, cache=tmp_path).images)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    np.testing.assert_array_equal(with_copies(IMAGES, 2, CHANGE, seed=5, cache=tmp_path).images, first)
    with_copies(IMAGES, 2, CHANGE, seed=6, cache=tmp_path)
    assert len(files(tmp_path)) == 2
