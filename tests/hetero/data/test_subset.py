"""Fewer training classes: labels are renumbered, the other sets stay."""

import dataclasses

import numpy as np
import pytest

from hetero.data.subset import with_classes, with_rows
from hetero.errors import InputError
from tests.hetero.upgrade.tiny import dataset


def test_only_the_images_of_the_classes_named_are_left():
    whole = dataset()
    some = with_classes(whole, ["d", "b"])
    assert some.train.classes == ("b", "d")
    np.testing.assert_array_equal(some.train.labels, [0, 0, 0, 0, 1, 1, 1, 1])
    kept = np.isin(whole.train.labels, [1, 3])
    np.testing.assert_array_equal(some.train.images, whole.train.images[kept])
    assert some.train.names == tuple(np.array(whole.train.names)[kept])
    assert some.test is whole.test
    assert len({whole.fingerprint, some.fingerprint, with_classes(whole, ["b"]).fingerprint}) == 3


def test_some_rows_keep_their_originals_and_the_classes():
    train = dataclasses.replace(dataset().train, original=lambda row: bytes([row]))
    some = with_rows(train, np.array([5, 2]))
    assert (some.names, some.classes) == ((train.names[5], train.names[2]), train.classes)
    np.testing.assert_array_equal(some.images, train.images[np.array([5, 2])])
    assert [some.original(row) for row in (0, 1)] == [bytes([5]), bytes([2])]
    assert some.fingerprint != with_rows(train, np.array([2, 5])).fingerprint


def test_unknown_classes_are_named():
    with pytest.raises(InputError, match="- zebra"):
        with_classes(dataset(), ["a", "zebra"])
    with pytest.raises(InputError, match="no class given"):
        with_classes(dataset(), [])


def test_images_without_a_label_are_of_none_of_the_classes():
    whole = dataset()
    labels = np.asarray(whole.train.labels).copy()
    labels[labels == 1] += len(whole.train.classes)
    some = with_classes(whole.training_on(dataclasses.replace(whole.train, labels=labels)), ["a", "b"])
    assert some.train.labels.tolist() == [0] * 4 and some.train.has_labels
