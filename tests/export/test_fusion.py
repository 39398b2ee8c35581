"""Networks in the manner of RepVGG, MobileOne and RepViT ship without their training branches."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export import RetrievalSet, export_model, from_module
from export.bundle.manifest import FusionEntry
from export.bundle.reading import read_bundle
from export.capture.fusion import MOVED, SHARE, _allowed, fuse_branches
from export.capture.source import Source
from hetero.metrics.task import RetrievalTask
from hetero.models.cost import Cost, module_cost
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

PREPROCESSING = Preprocessing(height=12, width=10)
SPACE = EmbeddingSpace.define(defined_by="d" * 64, name="cloud", version="2", dimension=6)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 12, 10, 3), dtype=np.uint8)


def with_statistics(module: nn.Module) -> nn.Module:
    """Batch norms whose scales and statistics are not those of a new layer."""
    generator = torch.Generator().manual_seed(0)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            for tensor in (each.weight, each.bias, each.running_mean, each.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
    return module


def merged(kernel: int, branches: list[tuple[torch.Tensor, torch.Tensor]]) -> nn.Conv2d:
    """One convolution for several that are added up, each a square kernel and a bias."""
    padded = [functional.pad(weight, [(kernel - weight.shape[-1]) // 2] * 4) for weight, _ in branches]
    outputs, inputs = padded[0].shape[:2]
    whole = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    whole.weight.data, whole.bias.data = sum(padded), sum(bias for _, bias in branches)
    return whole


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    whole = fuse_conv_bn_eval(convolution.eval(), norm.eval())
    return whole.weight.data, whole.bias.data


def identity(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    nothing = nn.Conv2d(norm.num_features, norm.num_features, 1, bias=False)
    nothing.weight.data = torch.eye(norm.num_features)[:, :, None, None]
    return folded(nothing, norm)


class VggBlock(nn.Module):
    """A 3 x 3 and a 1 x 1 convolution beside a bare batch norm, merged in place (arXiv 2101.03697)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dense, self.dense_norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.point, self.point_norm = nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "whole"):
            return functional.relu(self.whole(x))
        return functional.relu(self.dense_norm(self.dense(x)) + self.point_norm(self.point(x)) + self.norm(x))

    def switch_to_deploy(self) -> None:
        branches = [folded(self.dense, self.dense_norm), folded(self.point, self.point_norm), identity(self.norm)]
        self.whole = merged(3, branches)
        for name in ("dense", "dense_norm", "point", "point_norm", "norm"):
            delattr(self, name)


class MobileBlock(nn.Module):
    """Several convolutions of one size, merged in place (arXiv 2206.04040)."""

    def __init__(self, inputs: int, outputs: int, branches: int = 4) -> None:
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs)) for _ in range(branches)]
        self.branches, self.whole = nn.ModuleList(layers), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.whole is not None:
            return functional.relu(self.whole(x))
        return functional.relu(sum(branch(x) for branch in self.branches))

    def reparameterize(self) -> None:
        if self.whole is None:
            self.whole = merged(1, [folded(*branch) for branch in self.branches])
            del self.branches


class ConvNorm(nn.Sequential):
    """Gives a convolution for itself, as RepViT's layers do (arXiv 2307.09283)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))

    def fuse(self) -> nn.Module:
        return fuse_conv_bn_eval(self[0], self[1])


class Wrapped(nn.Module):
    """Gives a module for itself that holds more to merge."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)

    def fuse(self) -> nn.Module:
        return nn.Sequential(self.inner)


class Other(nn.Module):
    """Methods and attributes of these names that merge no branches."""

    def __init__(self) -> None:
        super().__init__()
        self.reparameterize = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fuse(x, self.reparameterize(x))

    def fuse(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(4 * 12 * 10, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


def source(*blocks: nn.Module) -> Source:
    return from_module(with_statistics(nn.Sequential(*blocks, Head())), PREPROCESSING, SPACE, name="net")


def branched() -> Source:
    torch.manual_seed(0)
    return source(MobileBlock(3, 4), Other(), VggBlock(4), Wrapped(nn.Sequential(ConvNorm(4, 4), VggBlock(4))))


def test_branches_become_single_layers() -> None:
    whole = branched()
    before, cost = whole.embed(IMAGES), module_cost(whole.module, PREPROCESSING)
    fusion = fuse_branches(whole, IMAGES)
    assert fusion.warning == ""
    assert fusion.entry == FusionEntry(
        {"ConvNorm": 1, "MobileBlock": 1, "VggBlock": 2, "Wrapped": 1}, cost.macs, cost.parameters, fusion.entry.moved
    )
    assert 0 < fusion.entry.moved < 1e-5
    assert np.abs(fusion.source.embed(IMAGES) - before).max() < 1e-5
    assert not [each for each in fusion.source.module.modules() if isinstance(each, nn.BatchNorm2d)]
    # By hand: 120 places, 1 x 1 kernels from 3 to 4 and from 4 to 4, two 3 x 3 kernels from 4 to 4, and the head.
    macs = 120 * (3 * 4 + 4 * 4 + 2 * 9 * 4 * 4) + 480 * 6
    weights = (3 * 4 + 4) + (4 * 4 + 4) + 2 * (9 * 4 * 4 + 4) + (480 * 6 + 6)
    assert module_cost(fusion.source.module, PREPROCESSING) == Cost(macs, weights)
    # The model itself keeps its branches, and its identity goes along.
    assert module_cost(whole.module, PREPROCESSING) == cost
    assert (fusion.source.digest, fusion.source.space) == (whole.digest, whole.space)


def test_a_network_without_branches_stays_as_it_is() -> None:
    plain = source(nn.Conv2d(3, 4, 1), Other())
    fusion = fuse_branches(plain, IMAGES)
    assert (fusion.source, fusion.entry, fusion.warning) == (plain, None, "")


class Wrong(MobileBlock):
    """Forgets what its merged layer adds, a little."""

    def reparameterize(self) -> None:
        super().reparameterize()
        self.whole.bias.data *= 1.01


class Raises(MobileBlock):
    def reparameterize(self) -> None:
        raise KeyError("branches")


class Narrower(MobileBlock):
    def reparameterize(self) -> None:
        self.whole = nn.Conv2d(3, 2, 1)


class NotANumber(MobileBlock):
    def reparameterize(self) -> None:
        super().reparameterize()
        self.whole.bias.data *= float("nan")


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (Wrong, r"a golden image's vector moves by [\d.e-]+, at most 0.00045 is allowed"),
        (NotANumber, "8 of 8 are not finite"),
        (Raises, "failed with KeyError: 'branches'"),
        (Narrower, "failed with RuntimeError"),
    ],
)
def test_branches_stay_when_merging_them_changes_the_network(
    block: type[MobileBlock], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    whole = source(block(3, 4))
    fusion = fuse_branches(whole, IMAGES)
    assert fusion.source is whole
    assert fusion.entry is None
    assert re.search(reason, fusion.warning)
    assert capsys.readouterr().err.startswith("net keeps its training branches: ")
    assert len(whole.module.module[0].branches) == 4


def test_vectors_that_lie_close_together_may_move_less() -> None:
    # Angles of 0, 2e-3 and 4e-3: distances of 2e-3, 2e-3 and 4e-3.
    angles = np.array([0, 2e-3, 4e-3])
    close = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert _allowed(close) == pytest.approx(SHARE * 2e-3, rel=1e-3)
    assert _allowed(np.eye(3, dtype=np.float32)) == _allowed(close[:1]) == MOVED


def one_set(images: np.ndarray, vectors: np.ndarray) -> RetrievalSet:
    rows = np.arange(len(images))
    tasks = (RetrievalTask("all", rows, rows, exclude_self=True),)
    return RetrievalSet(images, rows // 2, vectors, tasks, tuple(map(str, rows)), SPACE)


@pytest.mark.slow
@pytest.mark.parametrize("block", [MobileBlock, Wrong])
def test_a_bundle_says_what_was_merged(tmp_path: Path, block: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from export.bundle_commands import inspect_command

    torch.manual_seed(0)
    whole = source(block(3, 4), ConvNorm(4, 4))
    retrieval = one_set(IMAGES, whole.embed(IMAGES))
    out = export_model(whole, retrieval, tmp_path / "bundle", formats=("onnx",), goldens=4)
    bundle, card = read_bundle(out), (out / "README.md").read_text()
    manifest, before = bundle.manifest, module_cost(whole.module, PREPROCESSING)
    # The goldens are of the model as it was trained, and so is its digest.
    assert np.abs(bundle.goldens.golden_embeddings - whole.embed(bundle.goldens.golden_images)).max() < 1e-7
    assert manifest.source == whole.digest
    import onnx

    convolutions = [node for node in onnx.load(out / "model.fp32.onnx").graph.node if node.op_type == "Conv"]
    capsys.readouterr()
    inspect_command(out)
    shown = capsys.readouterr().out
    if block is Wrong:
        assert manifest.fusion is None
        assert manifest.macs == before.macs
        assert all("keeps its training branches" in model.warnings[0] for model in manifest.models)
        assert "- **Warning**: net keeps its training branches" in card
        assert "merged  " not in shown
        assert len(convolutions) == 5
    else:
        assert manifest.fusion.blocks == {"ConvNorm": 1, "MobileBlock": 1}
        assert (manifest.fusion.macs, manifest.fusion.parameters) == (before.macs, before.parameters)
        assert (manifest.macs, manifest.parameters) < (before.macs, before.parameters)
        assert "merged before the conversion (1 ConvNorm, 1 MobileBlock): " in card
        assert f"1 ConvNorm, 1 MobileBlock: {before.macs:,} MACs" in shown
        assert len(convolutions) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": {"a b": 1}},
        {"blocks": {"Block": 0}},
        {"macs": -1},
        {"parameters": -1},
        {"moved": 2.5},
        {"moved": -1.0},
    ],
)
def test_a_manifest_with_an_impossible_fusion_is_refused(change: dict[str, Any]) -> None:
    from export.bundle.checks import _fusion_problems

    entry = FusionEntry({"Block": 3}, 10, 20, 1e-6)
    assert _fusion_problems(entry) == []
    assert len(_fusion_problems(replace(entry, **change))) == 1
