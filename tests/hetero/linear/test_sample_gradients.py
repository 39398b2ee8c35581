from __future__ import annotations

import pytest
import torch
from torch import nn

from hetero.linear.solver.sample_gradients import _differentiated, sample_gradients
from hetero.models.backbones.blocks import GeneralisedMean

LAYERS = {
    "depthwise": (nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4), ("weight", "bias"), (4, 5, 5)),
    "dilated": (nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, bias=False), ("weight",), (4, 5, 5)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), ("weight",), (4, 5, 5)),
    "mirrored": (nn.Conv2d(4, 4, 3, padding=1, groups=4, padding_mode="reflect"), ("weight",), (4, 5, 5)),
    "batch norm of maps": (nn.BatchNorm2d(4), ("weight", "bias"), (4, 5, 5)),
    "batch norm": (nn.BatchNorm1d(4), ("weight", "bias"), (4,)),
    "biased": (nn.Conv2d(4, 3, 1), ("bias",), (4, 5, 5)),
    "of tokens": (nn.Linear(4, 3), ("weight", "bias"), (7, 4)),
    "linear": (nn.Linear(4, 3), ("weight", "bias"), (4,)),
    "generalised mean": (GeneralisedMean(2.5), ("power",), (4, 5, 5)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_closed_forms_are_the_derivatives(layer):
    made, names, shape = LAYERS[layer]
    torch.manual_seed(0)
    made = made.double().eval()
    if isinstance(made, nn.BatchNorm1d | nn.BatchNorm2d):
        made.running_mean.uniform_(-1, 1)
        made.running_var.uniform_(0.5, 2)
    inputs = torch.randn(3, *shape, dtype=torch.float64)
    gradients = torch.randn_like(made(inputs)).detach()
    found, expected = (each(made, names, inputs, gradients) for each in (sample_gradients, _differentiated))
    assert set(found) == set(names)
    for name, values in expected.items():
        assert found[name].shape == (3, *made.get_parameter(name).shape)
        assert torch.allclose(found[name], values, atol=1e-12)
