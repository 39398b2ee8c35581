"""A family declared in this one file is built from its configuration, saved, loaded, counted, trained and divided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.linear.parts import divided
from hetero.models.config import ModelConfig, Stage, scaled
from hetero.models.cost import cost, widest_within, widths_of
from hetero.models.directory import load_model, save_model
from hetero.models.families import FAMILIES, Family, add_family
from hetero.models.model import EmbeddingModel
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from hetero.training.config import TrainingConfig
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.loop import fit
from hetero.training.loop.module import TrainingModule
from hetero.training.loop.run import Run

SHAPE = Preprocessing(height=16, width=16)


class Plain(nn.Sequential):
    """A convolution a stage, none of them with a bias."""

    def __init__(self, config: ModelConfig) -> None:
        channels = scaled(config.stem_channels, config.width)
        layers = [nn.Conv2d(3, channels, 1, config.stem_stride, bias=False)]
        for stage in config.stages:
            layers.append(nn.Conv2d(channels, stage.channels, 3, stage.stride, 1, bias=False))
            channels = stage.channels
        super().__init__(*layers)
        self.channels = channels


def rules(config: ModelConfig) -> list[str]:
    return [f"stages: plain has one convolution a stage, got {one.depth}" for one in config.stages if one.depth > 1]


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    stages = (Stage(channels=4, stride=2), Stage(channels=8, stride=2))
    add_family(Family("plain", Plain, stages, lambda side: 1 + side // 16, widest=2.0, after_stages=0, rules=rules))
    yield
    del FAMILIES["plain"]


def made() -> EmbeddingModel:
    torch.manual_seed(0)
    model = EmbeddingModel("toy", ModelConfig(family="plain", dimension=5, stem_channels=8), SHAPE)
    model.space = EmbeddingSpace.define(defined_by="x", name="toy", version="1", dimension=5)
    return model


def pictures(count: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8))


def test_its_configuration_says_stages_and_stem_and_its_cost_is_counted() -> None:
    model = made()
    assert (model.config.stem_stride, [one.channels for one in model.config.stages]) == (2, [4, 8])
    # 8 by 8 after the stem of 1x1, 4 by 4 and 2 by 2 after the convolutions of 3x3, then the embedding layer.
    counted = cost(model)
    assert counted.macs == 64 * 3 * 8 + 16 * 9 * 8 * 4 + 4 * 9 * 4 * 8 + 8 * 5
    assert counted.parameters == 3 * 8 + 9 * 8 * 4 + 9 * 4 * 8 + 8 * 5 + 2 * 5


def test_what_it_may_be_asked_for() -> None:
    config = ModelConfig(family="plain", dimension=5, stem_channels=8)
    assert widths_of(config)[-1] == 2.0
    assert widest_within(config, SHAPE, macs=10**9).width == 2.0
    with pytest.raises(InputError, match="width: expected at most 2 for plain, got 2.5"):
        ModelConfig(family="plain", width=2.5)
    with pytest.raises(InputError, match="stages: plain has one convolution a stage, got 3"):
        ModelConfig(family="plain", stages=(Stage(channels=4, depth=3),))
    with pytest.raises(InputError, match="efficientnet_lite2, plain or timm:NAME, got 'plane'"):
        ModelConfig(family="plane")
    with pytest.raises(InputError, match="there is a family 'plain' already"):
        add_family(Family("plain", Plain))


def test_a_directory_gives_the_same_model_back(tmp_path: Path) -> None:
    model = made().eval()
    save_model(tmp_path, model, {})
    loaded = load_model(tmp_path)
    assert loaded.config == model.config and type(loaded.backbone) is Plain
    assert torch.equal(loaded(pictures()), model(pictures()))


def test_the_real_loop_takes_a_step_with_it(tmp_path: Path) -> None:
    model, before = made(), made()
    images = ImageSet(
        images=pictures().numpy(),
        labels=np.arange(6) % 2,
        classes=("a", "b"),
        views=np.zeros(6, np.int64),
        view_names=("all",),
        names=tuple("abcdef"),
        fingerprint="x",
    )
    head = Head(classes=2, dimension=5, kind="arcface", margin=0.1, scale=8.0)
    module = TrainingModule.of(model, (ObjectiveConfig("own_head"),), head)
    config = TrainingConfig(steps=1, batch=6, threads=1)
    fit(module, images, config, Run(tmp_path, "id", 1, "toy"), validate=lambda _: Judgement("score", {"score": 0.5}))
    changed = [not torch.equal(one, two) for one, two in zip(model.parameters(), before.parameters(), strict=True)]
    assert len(changed) == 6 and all(changed)


def test_it_is_divided_at_its_last_stage() -> None:
    model = made().eval()
    two = divided(model, "last-stage")
    assert {name for name, _ in two.upper.named_parameters()} == {
        "backbone.2.weight",
        "embedding.weight",
        "neck.weight",
        "neck.bias",
    }
    torch.testing.assert_close(two.upper(two.inputs(pictures().numpy())), model(pictures()))
