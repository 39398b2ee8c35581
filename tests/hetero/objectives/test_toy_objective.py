"""An objective with an input of its own, declared in this one file, is checked, listed and trained like any other."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
import torch
from annotated_types import Ge
from torch import nn
from typing_extensions import Doc

from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.objectives.batch import Batch
from hetero.objectives.catalog import CATALOG, Declaration, compares_classes, problems_of, takes_mixtures
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.declaration import objective
from hetero.objectives.head import Head
from hetero.objectives.inputs import INPUTS, batch_input
from hetero.preprocessing import Preprocessing
from hetero.training.config import TrainingConfig
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.loop import fit
from hetero.training.loop.module import CloudTensors, TrainingModule
from hetero.training.loop.run import Run

COUNT, SIDE = 12, 8
HEAD = Head(3, 4, "arcface", 0.2, 16.0, cloud_prototypes=torch.eye(4)[:3])
EDGE = ModelConfig(dimension=4, stem_channels=8, stages=(Stage(channels=8, stride=2),))


@pytest.fixture
def seen():
    """Declares the toy for one test; holds the batches that it is shown."""
    shown: list[Batch] = []

    @batch_input("view")
    def view(images: ImageSet) -> torch.Tensor:
        return torch.as_tensor(images.views)

    @objective("even_views", "as near to the cloud in each view", needs={"cloud", "view"})
    class EvenViews(nn.Module):
        def __init__(self, power: Annotated[float, Ge(1), Doc("how much more the worse views count")] = 2.0) -> None:
            super().__init__()
            self.power = power

        def forward(self, batch: Batch) -> torch.Tensor:
            shown.append(batch)
            distances = 1 - (batch.embeddings * batch.cloud).sum(dim=1)
            views = batch.inputs["view"]
            return torch.stack([distances[views == one].mean() for one in views.unique()]).pow(self.power).mean()

    yield shown
    del CATALOG["even_views"], INPUTS["view"]


def photos() -> ImageSet:
    generator = np.random.default_rng(0)
    return ImageSet(
        images=generator.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8),
        labels=np.arange(COUNT) % 3,
        classes=("a", "b", "c"),
        views=generator.integers(0, 2, COUNT),
        view_names=("shop", "street"),
        names=tuple(str(row) for row in range(COUNT)),
        fingerprint="x",
    )


def toy(**options: float) -> tuple[ObjectiveConfig, ...]:
    return (ObjectiveConfig("even_views", **options),)


def module() -> TrainingModule:
    torch.manual_seed(0)
    return TrainingModule.of(EmbeddingModel("edge", EDGE, Preprocessing(SIDE, SIDE)), toy(power=3), HEAD)


def train(directory, mixup: float = 0.0) -> TrainingModule:
    images, trained = photos(), module()
    vectors = torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(0))
    cloud = CloudTensors(nn.functional.normalize(vectors), torch.as_tensor(images.labels), torch.arange(COUNT))
    config = TrainingConfig(steps=2, batch=6, mixup=mixup, threads=1, optimizer="adamw")
    run = Run(directory, "id", 1, "toy")
    fit(trained, images, config, run, validate=lambda _: Judgement("score", {"score": 0.5}), cloud=cloud)
    return trained


def test_the_real_loop_trains_by_it_and_shows_each_batch_its_own_views(seen, tmp_path):
    before, trained = module(), train(tmp_path)
    assert len(seen) == 2
    for batch in seen:
        # The bank holds every training image, so that rows of the bank are rows of the set.
        assert batch.inputs["view"].tolist() == photos().views[batch.rows.numpy()].tolist()
    assert trained.objectives["even_views"].power == 3.0
    assert not torch.equal(trained.model.embedding.weight, before.model.embedding.weight)


def test_it_stands_in_the_catalogue_and_its_options_are_checked(seen):
    entry = CATALOG["even_views"]
    assert isinstance(entry, Declaration) and entry.needs == {"cloud", "view"}
    assert [(key, one.default, one.meaning) for key, one in entry.options.items()] == [
        ("power", 2.0, "how much more the worse views count")
    ]
    assert problems_of(toy(power=0.5, width=1), has_cloud=True) == [
        "even_views.power: expected a number of at least 1, got 0.5",
        "even_views.width: unknown option; expected power",
    ]
    assert problems_of(toy(), has_cloud=False) == ["even_views needs a cloud model"]
    assert problems_of(toy(), has_cloud=True) == []
    (unknown,) = problems_of([ObjectiveConfig("even_view")], has_cloud=True)
    assert "did you mean even_views?" in unknown and "even_views, pml:LOSS" in unknown


def test_what_is_of_one_image_cannot_be_mixed(seen, tmp_path):
    assert not compares_classes(toy()) and not takes_mixtures(toy())
    with pytest.raises(InputError, match="a mixture has no view; set mixup = 0"):
        train(tmp_path, mixup=0.5)


def test_names_that_are_taken_and_inputs_that_nobody_offers_are_told(seen):
    with pytest.raises(InputError, match="there is an objective 'csd' already"):
        objective("csd", "another")(nn.Identity)
    with pytest.raises(InputError, match="there is an input 'cloud' already"):
        batch_input("cloud")(lambda images: images)
    del INPUTS["view"]
    (problem,) = problems_of(toy(), has_cloud=True)
    assert problem.startswith(
        "even_views needs 'view', which is no input; expected labels, cloud, texts, previous, own_head"
    )
    INPUTS["view"] = INPUTS["cloud"]


def test_an_input_is_of_every_image(seen, tmp_path, monkeypatch):
    monkeypatch.setitem(INPUTS, "view", type(INPUTS["view"])(of_images=lambda images: torch.zeros(3)))
    with pytest.raises(InputError, match="the input view: expected a row for each of 12 images, got 3"):
        train(tmp_path)
