import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.objectives.catalog import compares_classes
from hetero.objectives.config import ObjectiveConfig
from hetero.training.batches.sampling import GroupSampler, sampler_of
from hetero.training.config import CloudConfig, StudentConfig, TrainingConfig


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
        return GroupSampler(labels, groups_per_batch=classes, images_per_group=images, seed=seed).batch(step)

    rows = batch()
    drawn = labels[rows].reshape(-1, images)
    assert len(drawn) == min(classes, len(sizes))
    assert (drawn == drawn[:, :1]).all()
    for label, group in zip(drawn[:, 0], rows.reshape(-1, images), strict=True):
        assert len(set(group)) == min(images, sizes[label])
    assert (rows == batch()).all()


def test_no_class_comes_again_before_all_have_come():
    sampler = GroupSampler(np.repeat(np.arange(10), 2), groups_per_batch=5, images_per_group=1, seed=1)
    labels = np.concatenate([np.repeat(np.arange(10), 2)[sampler.batch(step)] for step in range(2)])
    assert sorted(labels) == list(range(10))


def test_one_class_is_an_error():
    with pytest.raises(InputError, match="at least two classes, got 1"):
        GroupSampler(np.zeros(5, np.int64), groups_per_batch=2, images_per_group=2, seed=0)


@given(classes=st.integers(2, 12), images=st.integers(1, 4), ranks=st.integers(1, 12))
def test_ranks_share_a_batch_by_whole_classes(classes, images, ranks):
    labels = np.repeat(np.arange(12), 4)
    sampler = GroupSampler(labels, groups_per_batch=classes, images_per_group=images, seed=0)
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


SOURCES = np.tile(np.arange(10), 3)  # ten images with two changed copies of each
LABELS = np.tile(np.repeat(np.arange(5), 2), 3)


@given(batch=st.integers(1, 30), seed=st.integers(0, 2**31), first=st.integers(0, 200))
def test_every_image_comes_once_an_epoch_as_itself_or_as_a_copy(batch, seed, first):
    sampler = sampler_of(TrainingConfig(sampling="images", batch=batch), LABELS, SOURCES, by_class=True, seed=seed)
    assert sampler.batch_size == min(batch, 10)
    # As many steps as images are as many epochs as a batch has images.
    rows = np.concatenate([sampler.batch(int(10 * first + step)) for step in range(10)])
    assert len(rows) == 10 * sampler.batch_size
    assert (np.bincount(SOURCES[rows], minlength=10) == sampler.batch_size).all()
    assert (sampler.batch(first) == sampler.batch(first)).all()


def test_copies_are_drawn_as_often_as_originals():
    sampler = sampler_of(TrainingConfig(sampling="images", batch=10), LABELS, SOURCES, by_class=True, seed=3)
    rows = np.concatenate([sampler.batch(step) for step in range(300)])
    counts = np.bincount(rows // 10)
    assert counts.sum() == 3000 and (abs(counts - 1000) < 100).all()


def test_ranks_share_images_in_contiguous_parts():
    sampler = sampler_of(TrainingConfig(sampling="images", batch=7), LABELS, SOURCES, by_class=True, seed=3)
    assert sampler.shares(3) == [slice(0, 2), slice(2, 4), slice(4, 7)]
    with pytest.raises(InputError, match="8 processes share batches of 7 images.*raise batch"):
        sampler.shares(8)


@pytest.mark.parametrize(
    ("sampling", "by_class", "batch", "size"),
    [
        ("auto", True, 0, 6),
        ("auto", False, 0, 6),
        ("auto", True, 9, 8),  # four whole classes of two
        ("auto", False, 9, 9),
        ("images", True, 0, 6),
        ("classes", False, 5, 4),
    ],
)
def test_what_is_drawn_follows_the_setting_or_the_objectives(sampling, by_class, batch, size):
    config = TrainingConfig(sampling=sampling, classes_per_batch=3, images_per_class=2, batch=batch)
    sampler = sampler_of(config, LABELS, SOURCES, by_class=by_class, seed=1)
    assert sampler.batch_size == size
    classes = sampling == "classes" or (sampling == "auto" and by_class)
    pairs = all((LABELS[rows[0::2]] == LABELS[rows[1::2]]).all() for rows in map(sampler.batch, range(50)) if classes)
    assert pairs and (classes or len(set(SOURCES[sampler.batch(0)])) == size)


def test_objectives_say_whether_they_compare_by_class():
    assert not compares_classes(StudentConfig("s").objectives)
    assert compares_classes(CloudConfig().objectives)
    assert compares_classes([ObjectiveConfig("hvs_composite")])
    alone = [ObjectiveConfig("cloud_regression"), ObjectiveConfig("instance_contrastive"), ObjectiveConfig("csd")]
    assert not compares_classes(alone)
