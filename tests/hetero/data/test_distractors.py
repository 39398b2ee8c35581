"""Galleries that other classes join."""

from __future__ import annotations

import dataclasses

import numpy as np

from hetero.data.distractors import with_distractors
from hetero.data.images import ImageSet
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask


def image_set(classes: tuple[str, ...], labels: list[int], views: list[int]) -> ImageSet:
    return ImageSet(
        images=np.zeros((len(labels), 2, 2, 3), np.uint8),
        labels=np.array(labels, np.int64),
        classes=classes,
        views=np.array(views, np.int64),
        view_names=("colour", "line"),
        names=tuple(f"{classes[label]}/{row}" for row, label in enumerate(labels)),
        fingerprint="",
    )


VALIDATION = image_set(("cat", "dog"), [0, 1, 0, 1], [0, 0, 1, 1])
TRAIN = image_set(("dog", "owl", "fox"), [0, 1, 2, 1], [1, 0, 1, 1])
TASK = RetrievalTask("colour>line", np.array([0, 1]), np.array([2, 3]))


def test_images_of_other_classes_and_the_same_view_join():
    (task,), labels = with_distractors([TASK], VALIDATION, TRAIN)
    assert task.query.tolist() == [0, 1]
    # Of the training images row 4 is a dog, which validation knows, and row 5 no line drawing.
    assert task.gallery.tolist() == [2, 3, 6, 7]
    assert labels[:4].tolist() == [0, 1, 0, 1]
    assert labels[4] == 1
    assert len({labels[5], labels[6], 0, 1}) == 4
    assert labels[5] == labels[7]


def test_a_distractor_takes_the_place_of_a_right_answer():
    (task,), labels = with_distractors([TASK], VALIDATION, TRAIN)
    vectors = np.eye(8, 8, dtype=np.float32)
    vectors[2], vectors[3] = vectors[0], [0.0, 0.6, 0, 0, 0, 0, 0, 0.8]
    vectors[6] = [0.0, 0.9, 0, 0, 0, 0, np.sqrt(0.19), 0]
    assert evaluate_tasks(vectors[:4], vectors[:4], labels[:4], [TASK]).mean("cmc@1") == 1.0
    assert evaluate_tasks(vectors, vectors, labels, [task]).mean("cmc@1") == 0.5


def test_nothing_joins_where_all_classes_are_known():
    (task,), _ = with_distractors([TASK], VALIDATION, image_set(("cat", "dog"), [0, 1], [1, 1]))
    assert task.gallery.tolist() == [2, 3]


def test_images_without_labels_join_only_what_has_none_either():
    unlabelled = dataclasses.replace(TRAIN, labels=np.array([0, 3, 2, 4]))
    (task,), labels = with_distractors([TASK], VALIDATION, unlabelled)
    assert task.gallery.tolist() == [2, 3, 6], "row 7 may be a cat"
    assert len(set(labels[4:].tolist())) == 4
    bare = dataclasses.replace(TRAIN, labels=np.arange(4), classes=())
    asked = dataclasses.replace(
        VALIDATION, labels=np.array([0, 1, 0, 1]), classes=(), view_names=("original", "altered")
    )
    own = RetrievalTask("altered>original", np.array([2, 3]), np.array([0, 1]))
    (task,), labels = with_distractors([own], asked, bare)
    assert task.gallery.tolist() == [0, 1, 4, 5, 6, 7]
    assert labels.tolist() == [0, 1, 0, 1, 2, 3, 4, 5]
