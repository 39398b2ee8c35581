"""Counting leaves every layer in the mode that it was in."""

from __future__ import annotations

import torch
from torch import nn

from hetero.models.cost import counted


def test_counting_leaves_each_layer_in_its_mode():
    frozen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    whole = nn.Sequential(frozen, nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    whole.training = True
    modes = [layer.training for layer in whole.modules()]
    assert counted(whole, torch.zeros(1, 3, 8, 8)).macs == 4 * 6 * 6 * 27 + 4 * 6 * 6 * 2
    assert [layer.training for layer in whole.modules()] == modes
