"""Layers of networks: activations, norms, convolutions, pools."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.operator_catalogue.case import Then


def activations() -> dict[str, Any]:
    """Activations."""
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


def norms() -> dict[str, Any]:
    """Norms."""
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


def convolutions() -> dict[str, Any]:
    """Convolutions."""
    return {
        "conv2d": nn.Conv2d(4, 6, 3, padding=1),
        "conv2d (stride, dilation)": nn.Conv2d(4, 6, 3, stride=2, dilation=2, padding=2),
        "conv2d (groups)": nn.Conv2d(4, 6, 3, groups=2),
        "conv2d (depthwise)": nn.Conv2d(4, 8, 5, groups=4, padding=2),
        "conv2d (same)": nn.Conv2d(4, 6, 4, padding="same"),
        "conv2d (reflect)": nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        "conv2d (circular)": nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
        "conv1d": Then(lambda x: x.flatten(2), nn.Conv1d(4, 6, 5, stride=2)),
        "conv3d": Then(lambda x: x.reshape(1, 2, 2, 8, 8), nn.Conv3d(2, 3, (2, 3, 3))),
        "conv_transpose2d": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
        "conv_transpose2d (groups)": nn.ConvTranspose2d(4, 4, 4, stride=2, groups=2),
        "conv_transpose2d (dilation)": nn.ConvTranspose2d(4, 3, 3, dilation=2),
    }


def pools() -> dict[str, Any]:
    """Pools."""
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
        "avg_pool1d": Then(lambda x: x.flatten(2), nn.AvgPool1d(4)),
        "lp_pool2d": nn.LPPool2d(3.0, 2),
        "adaptive_avg_pool2d (1)": nn.AdaptiveAvgPool2d(1),
        "adaptive_avg_pool2d (whole)": nn.AdaptiveAvgPool2d(4),
        "adaptive_avg_pool2d (not whole)": nn.AdaptiveAvgPool2d(3),
        "adaptive_max_pool2d (1)": nn.AdaptiveMaxPool2d(1),
        "adaptive_max_pool2d (whole)": nn.AdaptiveMaxPool2d(2),
        "adaptive_max_pool2d (not whole)": nn.AdaptiveMaxPool2d(5),
        "gem": lambda x: x.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3),
    }


def _affine(norm: Any) -> nn.Module:
    """A norm whose weights are not all one."""
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return norm
