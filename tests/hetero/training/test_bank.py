"""Which of the cloud's vectors every batch is compared with."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hetero.data.images import Dataset
from hetero.space import EmbeddingSpace
from hetero.training.reference.bank import bank_rows
from hetero.training.reference.cloud_reference import CloudReference, class_means
from hetero.training.reference.cloud_tensors import cloud_tensors
from tests.hetero.training.test_loop import image_set


def drawn(labels, *, largest, seed=0, sources=None):
    labels = np.asarray(labels)
    return bank_rows(labels, np.arange(len(labels)) if sources is None else sources, seed=seed, largest=largest)


def test_few_images_all_make_the_bank():
    np.testing.assert_array_equal(drawn([2, 0, 1, 0], largest=4), [0, 1, 2, 3])


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=12), largest=st.integers(1, 150), seed=st.integers(0, 99)
)
def test_no_class_has_two_more_than_another_that_has_more_to_give(sizes, largest, seed):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = drawn(labels, largest=largest, seed=seed)
    assert len(rows) == min(len(labels), max(largest, len(sizes)))
    assert (np.diff(rows) > 0).all()
    counts = np.bincount(labels[rows], minlength=len(sizes))
    fuller = [count for count, size in zip(counts, sizes, strict=True) if count < size]
    assert counts.max() - min(fuller, default=counts.max()) <= 1


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_classes():
    labels = np.repeat(np.arange(10), 50)
    assert list(drawn(labels, largest=25, seed=1)) == list(drawn(labels, largest=25, seed=1))
    assert list(drawn(labels, largest=25, seed=1)) != list(drawn(labels, largest=25, seed=2))
    thirds = {tuple(np.flatnonzero(np.bincount(labels[drawn(labels, largest=25, seed=s)]) == 3)) for s in range(5)}
    assert len(thirds) > 1  # the classes that give one more than the others are drawn, too


def test_changed_copies_are_drawn_after_all_originals():
    labels, sources = np.tile(np.repeat([0, 1], [2, 6]), 3), np.tile(np.arange(8), 3)
    rows = drawn(labels, largest=12, sources=sources)
    assert list(rows[:8]) == list(range(8))
    assert np.bincount(labels[rows[8:]]).tolist() == [2, 2]
    assert np.bincount(labels[drawn(labels, largest=4, sources=sources)]).tolist() == [2, 2]


def test_every_class_has_a_vector_however_many_there_are():
    assert set(drawn(np.arange(50) // 2, largest=10)) <= set(range(50))
    assert len(set(drawn(np.arange(50) // 2, largest=10) // 2)) == 25


def test_a_listing_sorted_by_class_gives_every_class(tmp_path):
    train = image_set(60, 100, side=1)
    data = Dataset("x", train, train, train, (), (), "x")
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(6000, 4)).astype(np.float32)
    space = EmbeddingSpace.define(defined_by="0" * 64, name="t", version="1", dimension=4)
    cloud = CloudReference(space, vectors, class_means(vectors, train.labels, 60), None)
    known = cloud_tensors(cloud, data, who="x", seed=0)
    counts = np.bincount(known.bank_labels.numpy(), minlength=60)
    assert len(known.bank) == 4096 and counts.min() == 68 and counts.max() == 69
    np.testing.assert_array_equal(known.bank_embeddings.numpy(), vectors[known.bank.numpy()])
    other = cloud_tensors(cloud, data, who="x", seed=1)
    assert not np.array_equal(known.bank.numpy(), other.bank.numpy())
