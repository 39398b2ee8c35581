"""Contrastive terms recomputed with plain loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.contrastive import CloudContrastive, cloud_contrastive, supervised_contrastive


def by_hand(anchors, labels, keys, key_labels, temperature, skip_same_row):
    values = []
    for row, anchor in enumerate(anchors):
        candidates = [column for column in range(len(keys)) if not (skip_same_row and column == row)]
        denominator = sum(math.exp(float(anchor @ keys[column]) / temperature) for column in candidates)
        positives = [column for column in candidates if key_labels[column] == labels[row]]
        if positives:
            terms = [
                -math.log(math.exp(float(anchor @ keys[column]) / temperature) / denominator) for column in positives
            ]
            values.append(sum(terms) / len(terms))
    return sum(values) / len(values)


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(3)
    return F.normalize(torch.randn(7, 4, generator=generator), dim=1), torch.tensor([0, 0, 1, 1, 1, 2, 3])


def test_supervised_contrast_leaves_out_the_anchor_and_anchors_without_a_positive(vectors):
    embeddings, labels = vectors
    loss = supervised_contrastive(embeddings, labels, temperature=0.2)
    assert loss.item() == pytest.approx(by_hand(embeddings, labels, embeddings, labels, 0.2, True), abs=1e-5)


def test_cloud_contrast_keeps_the_anchors_own_image(vectors):
    embeddings, labels = vectors
    keys = F.normalize(embeddings + 0.3, dim=1)
    loss = cloud_contrastive(embeddings, labels, keys, labels, temperature=0.2)
    assert loss.item() == pytest.approx(by_hand(embeddings, labels, keys, labels, 0.2, False), abs=1e-5)


def test_cloud_contrast_is_least_when_the_student_equals_the_cloud():
    cloud = torch.eye(4)
    labels = torch.arange(4)
    term = CloudContrastive(temperature=0.1)
    same = term(Batch(cloud, labels, cloud=cloud))
    swapped = term(Batch(cloud.roll(1, dims=0), labels, cloud=cloud))
    assert same < 0.01 < swapped


def test_cloud_contrast_without_a_cloud_is_an_error():
    with pytest.raises(InputError, match="cloud model's embeddings"):
        CloudContrastive()(Batch(torch.eye(2), torch.arange(2)))
