"""What judges a model in training, with labels and without."""

import dataclasses
import functools

import numpy as np
import pytest
import torch

from hetero.errors import InputError
from hetero.metrics.label_free import neighbour_map
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.training.judging.agreement import agreement
from hetero.training.judging.validation import validation
from hetero.training.reference.cloud_reference import CloudReference
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

DATA = dataset()


@pytest.fixture(autouse=True)
def two_neighbours(monkeypatch):
    """Of so few images ten would be all."""
    monkeypatch.setattr("hetero.training.judging.validation.neighbour_map", functools.partial(neighbour_map, k=2))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return EmbeddingModel("tiny", cloud().model, SHAPE)


@pytest.fixture(scope="module")
def reference(model):
    torch.manual_seed(1)
    other = EmbeddingModel("cloud", cloud().model, SHAPE)
    from hetero.training.outcome import own_space

    other.eval()
    train, held = (embed_images(other, images.images) for images in (DATA.train, DATA.validation))
    return CloudReference(own_space(other), train, train[:1], held)


def without_labels():
    """As data without labels comes: the second half of the images are altered copies of the first."""
    images = DATA.validation
    half = len(images) // 2
    own = dataclasses.replace(images, labels=np.tile(np.arange(half), 2) + len(images.classes))
    task = RetrievalTask("altered>original", np.arange(half, 2 * half), np.arange(half))
    return dataclasses.replace(DATA, validation=own, validation_tasks=(task,))


def test_the_figures_beside_a_cloud(model, reference):
    judgement = validation(DATA, reference)(model)
    queries, center = embed_images(model, DATA.validation.images), reference.train.mean(axis=0)
    labels, tasks = np.asarray(DATA.validation.labels), DATA.validation_tasks
    found = evaluate_tasks(queries, reference.validation, labels, tasks, metrics=("cmc@1", "map@r"))
    a, b = queries - center, reference.validation - center
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert judgement.figures == {
        "map@r": found.mean("map@r"),
        "cmc@1": found.mean("cmc@1"),
        "label-free": neighbour_map(queries, reference.validation, center, tasks, k=2),
        "agreement": pytest.approx(float(cosines.mean()), abs=1e-6),
    }
    assert (judgement.judged_by, judgement.figure) == ("map@r", found.mean("map@r"))


def test_the_label_free_figure_looks_at_no_label(model, reference):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.asarray(DATA.validation.labels))
    shuffled = dataclasses.replace(DATA, validation=dataclasses.replace(DATA.validation, labels=labels))
    one, other = (validation(data, reference, "label-free")(model) for data in (DATA, shuffled))
    assert 0 < one.figure == other.figure < 1 and one.judged_by == "label-free"
    assert one.figures["map@r"] != other.figures["map@r"]


def test_without_labels_each_original_is_searched_among_the_others(model, reference):
    half = len(DATA.validation) // 2
    queries, center = embed_images(model, DATA.validation.images)[:half], reference.train.mean(axis=0)
    rows = np.arange(half)
    expected = neighbour_map(
        queries, reference.validation[:half], center, [RetrievalTask("x", rows, rows, exclude_self=True)], k=2
    )
    assert validation(without_labels(), reference)(model).figure == expected
    assert 0 < expected < 1


def test_auto_takes_labels_where_there_are_any(model, reference):
    def chosen(data, beside):
        return validation(data, beside, "auto")(model).judged_by

    unseen = dataclasses.replace(reference, validation=None)
    assert chosen(DATA, reference) == chosen(DATA, None) == "map@r"
    assert chosen(without_labels(), reference) == "label-free"
    # Nothing but the retrieval of each image's altered copy can be measured then.
    assert chosen(without_labels(), unseen) == chosen(without_labels(), None) == "map@r"


def test_without_a_cloud_a_model_searches_its_own_gallery(model):
    judgement = validation(DATA, None, "cmc@1")(model)
    vectors, labels = embed_images(model, DATA.validation.images), np.asarray(DATA.validation.labels)
    own = evaluate_tasks(vectors, vectors, labels, DATA.validation_tasks, metrics=("cmc@1", "map@r"))
    assert judgement.figures == {"map@r": own.mean("map@r"), "cmc@1": own.mean("cmc@1")}
    assert judgement.figure == own.mean("cmc@1")


@pytest.mark.parametrize("judged_by", ["label-free", "agreement"])
def test_a_figure_that_needs_the_cloud_is_refused_without_its_vectors(reference, judged_by):
    for beside in (None, dataclasses.replace(reference, validation=None)):
        with pytest.raises(InputError, match=rf"judged_by: {judged_by} compares .* choose auto, cmc@1, .* or recall@k"):
            validation(DATA, beside, judged_by)


def test_agreement_by_hand():
    center = torch.tensor([1.0, 0.0])
    ours = torch.tensor([[1.0, 2.0], [3.0, 0.0]])  # without the centre: up, and right
    theirs = torch.tensor([[1.0, 5.0], [1.0, 1.0]])  # up, and up
    assert float(agreement(ours, theirs, center)) == pytest.approx(0.5)
