"""The device on which models embed."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def on_fastest_device(model: M) -> M:
    """Move a model to the CUDA GPU where there is one; return it."""
    return model.to("cuda") if torch.cuda.is_available() else model
