"""Operators that networks for images are made of, each as a module from one feature map to any tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SHAPE = (1, 4, 8, 8)
"""Of the feature map: batch, channels, height, width."""


class Case(nn.Module):
    """An operator with its options.

    Args:
        compute: The operator, called with the feature map and the weights.
        weights: Tensors by the name that ``compute`` takes them under.
    """

    def __init__(self, compute: Callable[..., Tensor], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._compute = compute
        self._names = tuple(weights)
        for name, weight in weights.items():
            self.register_buffer(name, weight)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the operator."""
        return self._compute(x, **{name: getattr(self, name) for name in self._names})


def catalogue() -> dict[str, nn.Module]:
    """Name -> operator, freshly seeded."""
    torch.manual_seed(0)
    cases: dict[str, nn.Module] = {}
    for part in (_activations, _norms, _convolutions, _pools, _resizes, _paddings, _reductions, _pointwise, _binary):
        cases |= {name: _case(given) for name, given in part().items()}
    for part in (_products, _ordering, _shapes, _conditions):
        cases |= {name: _case(given) for name, given in part().items()}
    return {name: case.eval() for name, case in cases.items()}


def _case(given: Any) -> nn.Module:
    if isinstance(given, nn.Module):
        return given
    compute, weights = given if isinstance(given, tuple) else (given, {})
    return Case(compute, weights)


def _activations() -> dict[str, Any]:
    return {
        "relu": nn.ReLU(),
        "relu6": nn.ReLU6(),
        "leaky_relu": nn.LeakyReLU(0.2),
        "leaky_relu (negative slope)": nn.LeakyReLU(-0.3),
        "prelu": nn.PReLU(4, 0.3),
        "elu": nn.ELU(0.7),
        "selu": nn.SELU(),
        "celu": nn.CELU(1.7),
        "gelu (erf)": nn.GELU(),
        "gelu (tanh)": nn.GELU(approximate="tanh"),
        "silu": nn.SiLU(),
        "mish": nn.Mish(),
        "hardswish": nn.Hardswish(),
        "hardsigmoid": nn.Hardsigmoid(),
        "hardtanh": nn.Hardtanh(-0.5, 2.0),
        "hardshrink": nn.Hardshrink(0.4),
        "softshrink": nn.Softshrink(0.4),
        "tanhshrink": nn.Tanhshrink(),
        "softplus": nn.Softplus(),
        "softplus (beta, threshold)": nn.Softplus(beta=2.0, threshold=5.0),
        "softsign": nn.Softsign(),
        "sigmoid": nn.Sigmoid(),
        "log_sigmoid": nn.LogSigmoid(),
        "tanh": nn.Tanh(),
        "threshold": nn.Threshold(0.1, -3.0),
        "glu": nn.GLU(dim=1),
        "softmax": nn.Softmax(dim=1),
        "softmax (rows)": lambda x: x.flatten(2).softmax(-1),
        "softmin": nn.Softmin(dim=1),
        "log_softmax": nn.LogSoftmax(dim=1),
    }


def _norms() -> dict[str, Any]:
    batch_norm = nn.BatchNorm2d(4)
    batch_norm.running_mean, batch_norm.running_var = torch.randn(4), torch.rand(4) + 0.1
    return {
        "batch_norm": batch_norm,
        "layer_norm": nn.LayerNorm(8),
        "layer_norm (affine)": _affine(nn.LayerNorm([4, 8, 8])),
        "layer_norm (channels)": lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (4,), eps=1e-6),
        "group_norm": _affine(nn.GroupNorm(2, 4)),
        "instance_norm": nn.InstanceNorm2d(4),
        "rms_norm": _affine(nn.RMSNorm(8, eps=1e-6)),
        "rms_norm (default eps)": nn.RMSNorm(8),
        "rms_norm (two axes)": nn.RMSNorm([8, 8], eps=1e-5),
        "rms_norm (channels)": lambda x: functional.rms_norm(x.permute(0, 2, 3, 1), (4,), eps=1e-2),
        "local_response_norm": nn.LocalResponseNorm(3),
        "normalize": lambda x: functional.normalize(x, dim=1),
        "normalize (p=1)": lambda x: functional.normalize(x, p=1.0, dim=-1),
        "cosine_similarity": lambda x: functional.cosine_similarity(x[:, :2], x[:, 2:], dim=1),
        "weight_norm": (
            lambda x, v, g: functional.conv2d(x, g * v / torch.linalg.vector_norm(v, dim=(1, 2, 3), keepdim=True)),
            {"v": torch.randn(3, 4, 3, 3), "g": torch.rand(3, 1, 1, 1)},
        ),
    }


def _convolutions() -> dict[str, Any]:
    return {
        "conv2d": nn.Conv2d(4, 6, 3, padding=1),
        "conv2d (stride, dilation)": nn.Conv2d(4, 6, 3, stride=2, dilation=2, padding=2),
        "conv2d (groups)": nn.Conv2d(4, 6, 3, groups=2),
        "conv2d (depthwise)": nn.Conv2d(4, 8, 5, groups=4, padding=2),
        "conv2d (same)": nn.Conv2d(4, 6, 4, padding="same"),
        "conv2d (reflect)": nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        "conv2d (circular)": nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
        "conv1d": _then(lambda x: x.flatten(2), nn.Conv1d(4, 6, 5, stride=2)),
        "conv3d": _then(lambda x: x.reshape(1, 2, 2, 8, 8), nn.Conv3d(2, 3, (2, 3, 3))),
        "conv_transpose2d": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
        "conv_transpose2d (groups)": nn.ConvTranspose2d(4, 4, 4, stride=2, groups=2),
        "conv_transpose2d (dilation)": nn.ConvTranspose2d(4, 3, 3, dilation=2),
    }


def _pools() -> dict[str, Any]:
    return {
        "max_pool2d": nn.MaxPool2d(2),
        "max_pool2d (padding)": nn.MaxPool2d(3, stride=2, padding=1),
        "max_pool2d (ceil)": nn.MaxPool2d(3, stride=2, ceil_mode=True),
        "max_pool2d (dilation)": nn.MaxPool2d(2, stride=1, dilation=2),
        "avg_pool2d": nn.AvgPool2d(2),
        "avg_pool2d (padding counted)": nn.AvgPool2d(3, stride=2, padding=1),
        "avg_pool2d (padding not counted)": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        "avg_pool2d (ceil)": nn.AvgPool2d(3, stride=2, ceil_mode=True),
        "avg_pool2d (ceil, padding)": nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
        "avg_pool2d (ceil, not counted)": nn.AvgPool2d(3, stride=2, ceil_mode=True, count_include_pad=False),
        "avg_pool2d (divisor)": nn.AvgPool2d(2, divisor_override=3),
        "avg_pool1d": _then(lambda x: x.flatten(2), nn.AvgPool1d(4)),
        "lp_pool2d": nn.LPPool2d(3.0, 2),
        "adaptive_avg_pool2d (1)": nn.AdaptiveAvgPool2d(1),
        "adaptive_avg_pool2d (whole)": nn.AdaptiveAvgPool2d(4),
        "adaptive_avg_pool2d (not whole)": nn.AdaptiveAvgPool2d(3),
        "adaptive_max_pool2d (1)": nn.AdaptiveMaxPool2d(1),
        "adaptive_max_pool2d (whole)": nn.AdaptiveMaxPool2d(2),
        "adaptive_max_pool2d (not whole)": nn.AdaptiveMaxPool2d(5),
        "gem": lambda x: x.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3),
    }


def _resizes() -> dict[str, Any]:
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


def _paddings() -> dict[str, Any]:
    return {
        "pad (zero)": lambda x: functional.pad(x, (1, 2, 0, 3)),
        "pad (constant)": lambda x: functional.pad(x, (1, 2, 0, 3), value=-2.5),
        "pad (negative)": lambda x: functional.pad(x, (-1, 2, -2, 0)),
        "pad (reflect)": lambda x: functional.pad(x, (1, 2, 3, 2), mode="reflect"),
        "pad (replicate)": lambda x: functional.pad(x, (1, 2, 3, 2), mode="replicate"),
        "pad (circular)": lambda x: functional.pad(x, (1, 2, 3, 2), mode="circular"),
    }


def _reductions() -> dict[str, Any]:
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


def _pointwise() -> dict[str, Any]:
    names = (
        "abs",
        "neg",
        "sign",
        "square",
        "exp",
        "exp2",
        "expm1",
        "sin",
        "cos",
        "tan",
        "atan",
        "sinh",
        "cosh",
        "asinh",
    )
    more = ("erf", "erfc", "floor", "ceil", "trunc", "frac", "reciprocal", "isnan", "isinf", "sinc")
    of: dict[str, Any] = {name: _float_of(getattr(torch, name)) for name in (*names, *more)}
    return of | {
        "round": torch.round,
        "round (decimals)": lambda x: torch.round(x, decimals=2),
        "sqrt": lambda x: x.abs().sqrt(),
        "sqrt (negative)": torch.sqrt,
        "rsqrt": lambda x: x.abs().rsqrt(),
        "log": lambda x: x.abs().log(),
        "log2": lambda x: x.abs().log2(),
        "log10": lambda x: x.abs().log10(),
        "log1p": lambda x: x.abs().log1p(),
        "logit": lambda x: torch.logit(x, eps=1e-3),
        "acos": lambda x: x.clamp(-1, 1).acos(),
        "asin": lambda x: x.clamp(-1, 1).asin(),
        "atanh": lambda x: x.clamp(-0.9, 0.9).atanh(),
        "acosh": lambda x: x.clamp(min=1).acosh(),
        "clamp": lambda x: x.clamp(-0.3, 0.8),
        "clamp (tensors)": (lambda x, low: x.clamp(low), {"low": torch.randn(1, 4, 1, 1)}),
        "nan_to_num": lambda x: torch.nan_to_num(x.log(), nan=3.0, posinf=5.0, neginf=-7.0),
    }


def _binary() -> dict[str, Any]:
    other = {"y": torch.randn(1, 4, 8, 8)}
    return {
        "add (broadcast)": (lambda x, y: x + y, {"y": torch.randn(8)}),
        "sub (alpha)": (lambda x, y: torch.sub(x, y, alpha=0.3), other),
        "mul": lambda x: x * x.flip(-1),
        "div": (lambda x, y: x / y, other),
        "div (by zero)": lambda x: (x + 1) / x,
        "floor_divide": lambda x: torch.floor_divide(x, 0.75),
        "div (trunc)": lambda x: torch.div(x, 0.75, rounding_mode="trunc"),
        "remainder": lambda x: torch.remainder(x, 0.75),
        "remainder (negative)": lambda x: torch.remainder(x, -0.75),
        "fmod": lambda x: torch.fmod(x, 0.75),
        "pow (2)": lambda x: x.pow(2),
        "pow (3, negative base)": lambda x: x.pow(3),
        "pow (-1)": lambda x: x.pow(-1),
        "pow (0.5)": lambda x: x.pow(0.5),
        "pow (tensor)": (lambda x, y: x.abs().pow(y), {"y": torch.rand(1, 4, 8, 8) * 3}),
        "pow (scalar base)": lambda x: torch.pow(1.5, x.clamp(-9, 9)),
        "atan2": lambda x: torch.atan2(x, x.flip(-1)),
        "hypot": lambda x: torch.hypot(x, x.flip(-1)),
        "maximum": (torch.maximum, {"other": other["y"]}),
        "minimum": (torch.minimum, {"other": other["y"]}),
        "fmax": (torch.fmax, {"other": other["y"]}),
        "logaddexp": (torch.logaddexp, {"other": other["y"]}),
        "xlogy": lambda x: torch.xlogy(x.abs(), x.abs()),
        "lerp": (lambda x, y: torch.lerp(x, y, 0.3), other),
        "addcmul": (lambda x, y: torch.addcmul(x, x, y, value=0.5), other),
        "addcdiv": (lambda x, y: torch.addcdiv(x, x, y, value=0.5), other),
        "squared_difference": (lambda x, y: (x - y).square(), other),
    }


def _products() -> dict[str, Any]:
    return {
        "linear": nn.Linear(8, 5),
        "matmul": lambda x: x @ x.transpose(-1, -2),
        "matmul (broadcast)": (lambda x, y: x @ y, {"y": torch.randn(4, 8, 3)}),
        "bmm": lambda x: torch.bmm(x[0], x[0].mT),
        "addmm": (lambda x, y: torch.addmm(y, x[0, 0], x[0, 1], beta=0.5, alpha=2.0), {"y": torch.randn(8)}),
        "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
        "outer": lambda x: torch.outer(x[0, 0, 0], x[0, 1, 1]),
        "attention": lambda x: functional.scaled_dot_product_attention(x, x.flip(1), x.flip(2)),
        "attention (causal)": lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
        "attention (mask)": (
            lambda x, mask: functional.scaled_dot_product_attention(x, x, x, attn_mask=mask),
            {"mask": torch.rand(8, 8).gt(0.4) | torch.eye(8).bool()},
        ),
        "attention (scale)": lambda x: functional.scaled_dot_product_attention(x, x, x, scale=0.1),
        "multi_head_attention": _then(lambda x: x.flatten(2).mT, _SelfAttention(4, 2)),
        "bilinear": _then(lambda x: x[0], _Bilinear()),
        "cdist": lambda x: torch.cdist(x[0, :2], x[0, 2:]),
    }


def _ordering() -> dict[str, Any]:
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


def _shapes() -> dict[str, Any]:
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
        "flip": lambda x: x.flip(2, 3),
        "roll": lambda x: x.roll((1, -3), (2, 3)),
        "rot90": lambda x: x.rot90(1, (2, 3)),
        "pixel_shuffle": nn.PixelShuffle(2),
        "pixel_unshuffle": nn.PixelUnshuffle(2),
        "channel_shuffle": nn.ChannelShuffle(2),
        "unfold": nn.Unfold(3, padding=1, stride=2),
        "fold": _then(lambda x: x.reshape(1, 16, 16), nn.Fold((8, 8), 2, stride=2)),
        "unfold (windows)": lambda x: x.unfold(2, 4, 4).unfold(3, 4, 4),
        "diagonal": lambda x: x.diagonal(dim1=2, dim2=3),
        "meshgrid": lambda x: torch.stack(torch.meshgrid(x[0, 0, 0], x[0, 1, 0], indexing="ij")),
    }


def _conditions() -> dict[str, Any]:
    return {
        "where": lambda x: torch.where(x > 0, x, x * 2),
        "masked_fill (-inf)": (
            lambda x, mask: x.masked_fill(mask, float("-inf")).softmax(-1),
            {"mask": torch.rand(8, 8).gt(0.6) & ~torch.eye(8).bool()},
        ),
        "masked_fill (-1e9)": (
            lambda x, mask: x.masked_fill(mask, -1e9).softmax(-1),
            {"mask": torch.rand(8, 8).gt(0.6) & ~torch.eye(8).bool()},
        ),
        "tril": torch.tril,
        "triu": lambda x: x.triu(1),
        "logical": lambda x: ((x > 0) & ~(x > 2) | (x < -1) ^ (x <= -2)).float(),
        "compare": lambda x: (x >= 0.5).float() + (x == 0).float() + (x != 1).float(),
        "bool times number": lambda x: x * (x > 0.1),
        "cast to integers": lambda x: x.to(torch.int32).float(),
        "heaviside": (torch.heaviside, {"values": torch.full((1,), 0.5)}),
        "copysign": (torch.copysign, {"other": torch.randn(SHAPE)}),
        "dropout (evaluation)": nn.Dropout(0.5),
        "arange": lambda x: x + torch.arange(8, dtype=x.dtype),
        "full_like": lambda x: torch.full_like(x, 0.3) + x,
        "linspace": lambda x: x * torch.linspace(-1, 1, 8, dtype=x.dtype),
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


class _Then(nn.Module):
    def __init__(self, before: Callable[[Tensor], Tensor], after: nn.Module) -> None:
        super().__init__()
        self._before = before
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self._before(x))


def _then(before: Callable[[Tensor], Tensor], after: nn.Module) -> nn.Module:
    return _Then(before, after)


def _affine(norm: Any) -> nn.Module:
    """A norm whose weights are not all one."""
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return norm


def _float_of(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x).to(x.dtype)


def _varied(x: Tensor) -> Tensor:
    """Whole numbers of which no two along an axis are alike, so that which comes first is certain."""
    channels, columns = torch.arange(4, dtype=x.dtype)[:, None, None], torch.arange(8, dtype=x.dtype)
    return x.tanh().round() * 40 + channels * 3 + columns * 5
