"""Products, orderings and shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.operator_catalogue.case import SHAPE, Then


def products() -> dict[str, Any]:
    """Products of matrices, and attention."""
    return {
        "linear": nn.Linear(8, 5),
        "matmul": lambda x: x @ x.transpose(-1, -2),
        "matmul (broadcast)": (lambda x, y: x @ y, {"y": torch.randn(4, 8, 3)}),
        "bmm": lambda x: torch.bmm(x[0], x[0].mT),
        "addmm": (lambda x, y: torch.addmm(y, x[0, 0], x[0, 1], beta=0.5, alpha=2.0), {"y": torch.randn(8)}),
        "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
        "outer": lambda x: torch.outer(x[0, 0, 0], x[0, 1, 1]),
        "attention": lambda x: functional.scaled_dot_product_attention(x, x.flip(1), x.flip(2)),
        "attention (no heads)": lambda x: functional.scaled_dot_product_attention(x[:, 0], x[:, 1], x[:, 2]),
        "attention (causal)": lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
        "attention (mask)": (
            lambda x, mask: functional.scaled_dot_product_attention(x, x, x, attn_mask=mask),
            {"mask": torch.rand(8, 8).gt(0.4) | torch.eye(8).bool()},
        ),
        "attention (scale)": lambda x: functional.scaled_dot_product_attention(x, x, x, scale=0.1),
        "multi_head_attention": Then(lambda x: x.flatten(2).mT, _SelfAttention(4, 2)),
        "bilinear": Then(lambda x: x[0], _Bilinear()),
        "cdist": lambda x: torch.cdist(x[0, :2], x[0, 2:]),
    }


def ordering() -> dict[str, Any]:
    """Orderings, and picking by number."""
    return {
        "argmax": lambda x: _varied(x).argmax(dim=1).float(),
        "argmin": lambda x: _varied(x).argmin(dim=-1).float(),
        "topk": lambda x: x.flatten(1).topk(5).values,
        "topk (smallest)": lambda x: x.flatten(1).topk(5, largest=False).values,
        "sort": lambda x: x.sort(dim=-1).values,
        "sort (descending)": lambda x: x.sort(dim=1, descending=True).values,
        "argsort": lambda x: _varied(x).argsort(dim=-1).float(),
        "gather": (lambda x, index: x.gather(3, index), {"index": torch.randint(0, 8, (1, 4, 8, 3))}),
        "index_select": (lambda x, index: x.index_select(1, index), {"index": torch.tensor([3, 0, 0, 2])}),
        "index (advanced)": (lambda x, i: x[:, i[0], :, i[1]], {"i": torch.tensor([[0, 3], [5, 1]])}),
        "embedding": (
            lambda x, table: functional.embedding(x[0, 0].clamp(0, 3).long(), table),
            {"table": torch.randn(4, 6)},
        ),
        "one_hot": lambda x: functional.one_hot(x[0, 0].clamp(0, 3).long(), 4).float(),
        "take_along_dim": (lambda x, i: torch.take_along_dim(x, i, 3), {"i": torch.randint(0, 8, (1, 4, 8, 2))}),
        "scatter_add": (lambda x, i: torch.zeros_like(x).scatter_add(3, i, x), {"i": torch.randint(0, 8, SHAPE)}),
        "bucketize": (lambda x, edges: torch.bucketize(x, edges).float(), {"edges": torch.linspace(-3.1, 3.1, 7)}),
    }


def shapes() -> dict[str, Any]:
    """Shapes, joining and cutting."""
    return {
        "reshape": lambda x: x.reshape(2, 8, 16),
        "permute": lambda x: x.permute(0, 2, 3, 1),
        "flatten": lambda x: x.flatten(1),
        "unflatten": lambda x: x.unflatten(1, (2, 2)),
        "squeeze": lambda x: x.squeeze(0).unsqueeze(-1),
        "expand": lambda x: x[:, :1].expand(1, 3, 8, 8) + 0,
        "repeat": lambda x: x.repeat(1, 2, 1, 3),
        "repeat_interleave": lambda x: x.repeat_interleave(3, dim=1),
        "tile": lambda x: x.tile(2, 1),
        "concat": lambda x: torch.cat((x, x * 2), dim=1),
        "stack": lambda x: torch.stack((x, x.flip(1)), dim=2),
        "split": lambda x: torch.cat(x.split([1, 3], dim=1)[::-1], dim=1),
        "chunk": lambda x: torch.cat(x.chunk(2, dim=-1)[::-1], dim=-1),
        "unbind": lambda x: x.unbind(1)[2],
        "slice (step)": lambda x: x[:, ::2, 1:7:3],
        "slice (negative)": lambda x: x[..., -3:],
        "slice (whole)": lambda x: x[:, :4] * 2,
        "flip": lambda x: x.flip(2, 3),
        "roll": lambda x: x.roll((1, -3), (2, 3)),
        "rot90": lambda x: x.rot90(1, (2, 3)),
        "pixel_shuffle": nn.PixelShuffle(2),
        "pixel_unshuffle": nn.PixelUnshuffle(2),
        "channel_shuffle": nn.ChannelShuffle(2),
        "unfold": nn.Unfold(3, padding=1, stride=2),
        "fold": Then(lambda x: x.reshape(1, 16, 16), nn.Fold((8, 8), 2, stride=2)),
        "unfold (windows)": lambda x: x.unfold(2, 4, 4).unfold(3, 4, 4),
        "diagonal": lambda x: x.diagonal(dim1=2, dim2=3),
        "meshgrid": lambda x: torch.stack(torch.meshgrid(x[0, 0, 0], x[0, 1, 0], indexing="ij")),
    }


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class _Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.form = nn.Bilinear(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x[0], x[1])


def _varied(x: Tensor) -> Tensor:
    """Whole numbers of which no two along an axis are alike, so that which comes first is certain."""
    channels, columns = torch.arange(4, dtype=x.dtype)[:, None, None], torch.arange(8, dtype=x.dtype)
    return x.tanh().round() * 40 + channels * 3 + columns * 5
