"""Unit vectors in the plane, by their angles."""

import math

import torch


def at(*degrees: float) -> torch.Tensor:
    radians = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))
