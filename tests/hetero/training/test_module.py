"""What objectives are shown: the cloud cached or live, the bank's rows, and both classifiers' answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hetero.data.augmentation.copies import sources_of
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.objectives.margin_softmax import MarginSoftmax
from hetero.preprocessing import Preprocessing
from hetero.training.loop.module import CloudTensors, TrainingModule


class Recorder(nn.Module):
    """An objective that keeps what it was shown."""

    def forward(self, batch):
        self.seen = batch
        return batch.embeddings.sum()


def tiny(seed: int) -> EmbeddingModel:
    torch.manual_seed(seed)
    config = ModelConfig(dimension=4, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    return EmbeddingModel("tiny", config, Preprocessing(height=8, width=8))


@pytest.fixture
def parts():
    own = MarginSoftmax(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), scale=5.0)
    recorder = Recorder()
    objectives = {"own_head": own, "recorder": recorder}
    module = TrainingModule(tiny(1), objectives, dict.fromkeys(objectives, 1.0), needs=frozenset({"own_head"}))
    cached = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    cloud = CloudTensors(
        cached,
        torch.tensor([0, 1, 2, 0, 1, 2]),
        bank=torch.arange(2),
        sources=torch.tensor([0, 1, 2, 0, 1, 2]),
        prototypes=torch.eye(4)[:3],
    )
    return module, own, recorder, cloud


def test_cached_vectors_follow_the_rows_and_copies_point_at_their_originals(parts):
    module, _, recorder, cloud = parts
    rows = torch.tensor([4, 2, 0])
    module(torch.rand(3, 3, 8, 8), cloud.labels[rows], rows, cloud)
    torch.testing.assert_close(recorder.seen.cloud, cloud.embeddings[rows])
    assert recorder.seen.rows.tolist() == [1, -1, 0]  # the bank holds the first two images only
    assert recorder.seen.bank.shape == (2, 4) and recorder.seen.bank_labels.tolist() == [0, 1]


def test_the_bank_is_any_of_the_images(parts):
    module, _, recorder, cloud = parts
    cloud = dataclasses.replace(cloud, bank=torch.tensor([1, 5]))
    rows = torch.tensor([4, 5, 1, 0])
    module(torch.rand(4, 3, 8, 8), cloud.labels[rows], rows, cloud)
    assert recorder.seen.rows.tolist() == [0, -1, 0, -1]  # image 4 is a copy of 1, and 5 of 2
    torch.testing.assert_close(recorder.seen.bank, cloud.embeddings[[1, 5]])
    assert recorder.seen.bank_labels.tolist() == [1, 2]


def test_logits_are_scaled_cosines_of_both_heads(parts):
    module, own, recorder, cloud = parts
    rows = torch.tensor([3, 5])
    module(torch.rand(2, 3, 8, 8), cloud.labels[rows], rows, cloud)
    seen = recorder.seen
    by_hand = 5.0 * seen.embeddings @ (own.prototypes / own.prototypes.norm(dim=1, keepdim=True)).T
    torch.testing.assert_close(seen.logits, by_hand)
    torch.testing.assert_close(seen.cloud_logits, 5.0 * cloud.embeddings[rows][:, :3])


def test_targets_take_the_place_of_cached_vectors_and_mixtures_are_nowhere_in_the_bank(parts):
    module, _, recorder, cloud = parts
    targets = F.normalize(torch.rand(2, 4), dim=1)
    rows = torch.tensor([0, 1])
    module(torch.rand(2, 3, 8, 8), cloud.labels[rows], rows, cloud, targets)
    assert torch.equal(recorder.seen.cloud, targets) and recorder.seen.rows.tolist() == [0, 1]
    alone = TrainingModule(module.model, {"recorder": recorder}, {"recorder": 1.0})
    alone(torch.rand(2, 3, 8, 8), torch.tensor([-1, -1]), torch.tensor([-1, -1]), cloud, targets)
    assert recorder.seen.rows.tolist() == [-1, -1]


def test_copies_are_known_by_their_names_alone():
    names = ("a", "b#x", "c#1", "a#1", "b#x#2", "z#3")
    np.testing.assert_array_equal(sources_of(names), [0, 1, 2, 0, 1, 5])
