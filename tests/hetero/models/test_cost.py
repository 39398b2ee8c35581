"""What counting counts, and that it leaves every layer in the mode that it was in."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from hetero import EmbeddingModel, ModelConfig, Preprocessing
from hetero.models.cost import cost, counted


def test_counting_leaves_each_layer_in_its_mode():
    frozen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    whole = nn.Sequential(frozen, nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    whole.training = True
    modes = [layer.training for layer in whole.modules()]
    assert counted(whole, torch.zeros(1, 3, 8, 8)).macs == 4 * 6 * 6 * 27 + 4 * 6 * 6 * 2
    assert [layer.training for layer in whole.modules()] == modes


class Headed(nn.Module):
    """Has a head that gives classes, which the embedding does not take, and a parameter beside its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 1000)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(torch.cat([self.token, x], dim=1))
        return self.attention(tokens, tokens, tokens)[0]


def test_weights_that_no_image_passes_are_not_counted():
    # A token of 4; a norm's scales and shifts; of attention three inputs and an output, each 4 x 4 with a bias.
    assert counted(Headed(), torch.zeros(1, 5, 4)).parameters == 4 + 2 * 4 + 4 * (4 * 4 + 4)


def test_a_weight_is_counted_by_whatever_reads_it():
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.gain = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(2))
            self.unread = nn.Parameter(torch.ones(7))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, nn.functional.normalize(self.weight.data)) * self.gain

    assert counted(Normalised(), torch.zeros(1, 3)).parameters == 6 + 2
    assert counted(Normalised().to("meta"), torch.zeros(1, 3, device="meta")).parameters == 6 + 2


@pytest.mark.slow
@pytest.mark.skipif(find_spec("timm") is None, reason="needs the package timm")
def test_the_classifier_of_a_published_network_is_not_counted():
    preprocessing = Preprocessing(height=32, width=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    model = EmbeddingModel("small", ModelConfig(family="timm:mobilenetv3_small_050", dimension=4), preprocessing)
    head = sum(parameter.numel() for parameter in model.get_submodule("backbone.network.conv_head").parameters())
    assert head == 288 * 1024 + 1024
    assert cost(model).parameters == sum(parameter.numel() for parameter in model.parameters()) - head
