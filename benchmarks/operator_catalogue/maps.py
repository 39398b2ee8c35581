"""What changes the size of a map, and what sums it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def resizes() -> dict[str, Any]:
    """Resizes and samplings."""

    def resize(**options: Any) -> Callable[[Tensor], Tensor]:
        return lambda x: functional.interpolate(x, **options)

    return {
        "nearest (x2)": resize(scale_factor=2, mode="nearest"),
        "nearest (not whole)": resize(size=(11, 11), mode="nearest"),
        "nearest (smaller)": resize(size=(3, 5), mode="nearest"),
        "nearest-exact": resize(size=(11, 11), mode="nearest-exact"),
        "bilinear (x2)": resize(scale_factor=2, mode="bilinear"),
        "bilinear (not whole)": resize(size=(11, 13), mode="bilinear"),
        "bilinear (smaller)": resize(size=(3, 5), mode="bilinear"),
        "bilinear (align_corners)": resize(size=(11, 13), mode="bilinear", align_corners=True),
        "bilinear (antialias)": resize(size=(3, 5), mode="bilinear", antialias=True),
        "bicubic": resize(size=(11, 13), mode="bicubic"),
        "bicubic (antialias)": resize(size=(3, 5), mode="bicubic", antialias=True),
        "bicubic (align_corners)": resize(size=(5, 13), mode="bicubic", align_corners=True),
        "area": resize(size=(3, 3), mode="area"),
        "grid_sample": (
            lambda x, grid: functional.grid_sample(x, grid, align_corners=False),
            {"grid": torch.rand(1, 5, 5, 2) * 2.4 - 1.2},
        ),
        "grid_sample (nearest, border)": (
            lambda x, grid: functional.grid_sample(x, grid, mode="nearest", padding_mode="border", align_corners=True),
            {"grid": torch.rand(1, 5, 5, 2) * 2.4 - 1.2},
        ),
        "affine_grid": (
            lambda x, theta: functional.grid_sample(
                x, functional.affine_grid(theta, [1, 4, 6, 6], align_corners=False), align_corners=False
            ),
            {"theta": torch.tensor([[[0.9, 0.1, 0.05], [-0.1, 0.8, 0.02]]])},
        ),
        "position embedding (own size)": (
            lambda x, table: x + functional.interpolate(table, (8, 8), mode="bicubic", antialias=True),
            {"table": torch.randn(1, 4, 8, 8)},
        ),
        "position embedding (resized)": (
            lambda x, table: x + functional.interpolate(table, (8, 8), mode="bicubic"),
            {"table": torch.randn(1, 4, 6, 6)},
        ),
    }


def paddings() -> dict[str, Any]:
    """Paddings."""
    return {
        "pad (zero)": lambda x: functional.pad(x, (1, 2, 0, 3)),
        "pad (constant)": lambda x: functional.pad(x, (1, 2, 0, 3), value=-2.5),
        "pad (negative)": lambda x: functional.pad(x, (-1, 2, -2, 0)),
        "pad (reflect)": lambda x: functional.pad(x, (1, 2, 3, 2), mode="reflect"),
        "pad (replicate)": lambda x: functional.pad(x, (1, 2, 3, 2), mode="replicate"),
        "pad (circular)": lambda x: functional.pad(x, (1, 2, 3, 2), mode="circular"),
    }


def reductions() -> dict[str, Any]:
    """Reductions."""
    return {
        "sum": lambda x: x.sum(dim=(2, 3)),
        "mean": lambda x: x.mean(dim=(1, 3)),
        "mean (all)": lambda x: x.mean().reshape(1),
        "amax": lambda x: x.amax(dim=(2, 3)),
        "amin": lambda x: x.amin(dim=1),
        "max (dim)": lambda x: x.max(dim=1).values,
        "prod": lambda x: x.prod(dim=1),
        "std": lambda x: x.std(dim=(2, 3)),
        "std (biased)": lambda x: x.std(dim=1, correction=0),
        "var": lambda x: x.var(dim=(2, 3)),
        "var_mean": lambda x: torch.cat(torch.var_mean(x, dim=1)),
        "var_mean (biased)": lambda x: torch.cat(torch.var_mean(x, dim=1, correction=0)),
        "norm": lambda x: x.norm(dim=1),
        "norm (p=1)": lambda x: torch.linalg.vector_norm(x, 1, dim=(2, 3)),
        "norm (p=3)": lambda x: torch.linalg.vector_norm(x, 3, dim=1),
        "norm (p=inf)": lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1),
        "logsumexp": lambda x: x.logsumexp(dim=1),
        "cumsum": lambda x: x.flatten(2).cumsum(-1),
        "cumprod": lambda x: x.cumprod(1),
        "any": lambda x: (x > 1).any(dim=1).to(x.dtype),
        "all": lambda x: (x > -1).all(dim=1).to(x.dtype),
        "median": lambda x: x.flatten(2).median(dim=-1).values,
    }
