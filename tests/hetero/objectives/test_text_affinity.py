"""Affinity to texts, worked out by hand on two images and two texts."""

import math

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.catalog import problems_of
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.text_affinity import TextAffinity, text_affinity

AXES = torch.eye(2)


def test_both_divergences_by_hand():
    # The cloud's cosines with the texts are the unit matrix, the student's those of the same image twice.
    student = AXES[[0, 0]]
    near, far = math.e / (math.e + 1), 1 / (math.e + 1)
    # Of the second image over the texts, the student's distribution is the cloud's exchanged; the first is the cloud's.
    over_texts = (near * math.log(near / far) + far * math.log(far / near)) / 2
    # Over the images the student's are even for both texts.
    over_images = near * math.log(near / 0.5) + far * math.log(far / 0.5)
    value = text_affinity(student, AXES, AXES, temperature=1.0)
    assert value.item() == pytest.approx((over_texts + over_images) / 2, rel=1e-5)


def test_the_cloud_itself_is_the_minimum():
    cloud = torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    texts = torch.nn.functional.normalize(torch.randn(7, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    assert text_affinity(cloud, cloud, texts, temperature=0.1).item() == pytest.approx(0, abs=1e-6)


def test_without_texts_it_says_what_to_do():
    batch = Batch(AXES, torch.tensor([0, 1]), AXES)
    with pytest.raises(InputError, match=r"needs vectors of texts: call CloudReference\.with_texts"):
        TextAffinity()(batch)
    terms = [ObjectiveConfig("text_affinity")]
    assert problems_of(terms, has_cloud=True, has_texts=True) == []
    (problem,) = problems_of(terms, has_cloud=True)
    assert problem.startswith("text_affinity needs vectors of texts: name their file as cloud.text")
