import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.training.sampling import ClassBalancedSampler


@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=12),
    classes=st.integers(1, 15),
    images=st.integers(1, 5),
    seed=st.integers(0, 2**31),
    step=st.integers(0, 10_000),
)
def test_a_batch_holds_the_images_asked_for_and_depends_on_seed_and_step_alone(sizes, classes, images, seed, step):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))

    def batch():
        return ClassBalancedSampler(labels, classes_per_batch=classes, images_per_class=images, seed=seed).batch(step)

    rows = batch()
    drawn = labels[rows].reshape(-1, images)
    assert len(drawn) == min(classes, len(sizes))
    assert (drawn == drawn[:, :1]).all()
    for label, group in zip(drawn[:, 0], rows.reshape(-1, images), strict=True):
        assert len(set(group)) == min(images, sizes[label])
    assert (rows == batch()).all()


def test_no_class_comes_again_before_all_have_come():
    sampler = ClassBalancedSampler(np.repeat(np.arange(10), 2), classes_per_batch=5, images_per_class=1, seed=1)
    labels = np.concatenate([np.repeat(np.arange(10), 2)[sampler.batch(step)] for step in range(2)])
    assert sorted(labels) == list(range(10))


def test_one_class_is_an_error():
    with pytest.raises(InputError, match="at least two classes, got 1"):
        ClassBalancedSampler(np.zeros(5, np.int64), classes_per_batch=2, images_per_class=2, seed=0)


@given(classes=st.integers(2, 12), images=st.integers(1, 4), ranks=st.integers(1, 12))
def test_ranks_share_a_batch_by_whole_classes(classes, images, ranks):
    labels = np.repeat(np.arange(12), 4)
    sampler = ClassBalancedSampler(labels, classes_per_batch=classes, images_per_class=images, seed=0)
    if ranks > classes:
        with pytest.raises(InputError, match=f"{ranks} processes share batches of {classes} classes"):
            sampler.shares(ranks)
        return
    rows, shares = sampler.batch(0), sampler.shares(ranks)
    parts = [rows[share] for share in shares]
    assert np.concatenate(parts).tolist() == rows.tolist()
    of_ranks = [set(labels[part]) for part in parts]
    assert sum(map(len, of_ranks)) == classes  # no class is on two ranks
    assert max(map(len, of_ranks)) - min(map(len, of_ranks)) <= 1
