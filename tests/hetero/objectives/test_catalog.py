"""Names and options: declared once, checked all at once, and equal to what the code does."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from torch.nn import functional as F

from hetero.errors import InputError
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.objectives import declaration
from hetero.objectives.backward_compatible import InfluenceLoss
from hetero.objectives.catalog import CATALOG, Composite, Declaration, expanded, problems_of
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.objectives.declaration import HEAD
from hetero.objectives.head import Head
from hetero.objectives.margin_softmax import MarginSoftmax
from hetero.objectives.registry import build_objective, build_objectives
from hetero.preprocessing import Preprocessing
from hetero.schema import parse, record
from hetero.training.judging.curves import AGREEMENT
from hetero.training.loop.module import CloudTensors, TrainingModule

SINGLE = [name for name, entry in CATALOG.items() if isinstance(entry, Declaration)]


def head(dimension: int = 4, cloud_dimension: int = 4) -> Head:
    prototypes = F.normalize(torch.randn(3, cloud_dimension, generator=torch.Generator().manual_seed(5)), dim=1)
    return Head(3, dimension, "arcface", 0.2, 16.0, cloud_prototypes=prototypes)


def test_no_torch_is_needed_to_check_names_and_options():
    code = "import sys, hetero.objectives.catalog, hetero.pipeline.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", SINGLE)
def test_declared_options_are_those_of_the_code(name):
    entry = CATALOG[name]
    module, _, attribute = entry.home.partition(":")
    made = getattr(import_module(module), attribute)
    declared: dict[str, Declaration] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(declaration, "CATALOG", declared)
        declaration.objective(name, entry.summary, needs=entry.needs)(made)
    assert declared == {name: entry}
    assert (HEAD in inspect.signature(made).parameters) is entry.takes_head
    assert all(option.allows(option.default) and option.meaning for option in entry.options.values())


def test_every_option_that_is_wrong_is_told_at_once():
    terms = (
        ObjectiveConfig("csd", temperature=0, neighbours=2.5, neighbors=3),
        ObjectiveConfig("focal_kl", weight=-1.0),
        ObjectiveConfig("asymmetric_triplet", mining="easy"),
        ObjectiveConfig("rank_preservin"),
        ObjectiveConfig("hvs_composite", temperature=1.0),
        ObjectiveConfig("raml"),
        ObjectiveConfig("raml", mixed=True),
    )
    problems = "\n".join(problems_of(terms, has_cloud=True))
    for part in (
        "csd.temperature: expected a number above 0, got 0",
        "csd.neighbours: expected a whole number of at least 2, got 2.5",
        "csd.neighbors: unknown option; expected neighbours, temperature, cloud_temperature",
        "focal_kl.weight: expected a number of at least 0, got -1.0",
        "focal_kl compares classifiers: put own_head beside it",
        "asymmetric_triplet.mining: expected one of semi-hard, hard, got 'easy'",
        "unknown objective 'rank_preservin' (did you mean rank_preserving?)",
        "hvs_composite has no options, got temperature; set them on own_head and cloud_head",
        "raml is given 2 times",
        "raml.mixed: expected a number of at least 0, got True",
    ):
        assert part in problems
    with pytest.raises(InputError) as caught:
        build_objectives(terms, head())
    assert len(caught.value.problems) == len(problems.splitlines())


def test_what_needs_a_cloud_says_so():
    assert problems_of([ObjectiveConfig("backward_compatible")], has_cloud=False) == ["cloud_head needs a cloud model"]
    assert problems_of([ObjectiveConfig("supervised_contrastive")], has_cloud=False) == []
    assert problems_of([], has_cloud=True) == ["expected at least one"]


def test_a_composite_is_its_parts_with_its_weight():
    parts = expanded([ObjectiveConfig("hvs_composite", weight=0.3), ObjectiveConfig("csd")])
    assert [(part.name, part.weight) for part in parts] == [("own_head", 0.3), ("cloud_head", 0.3), ("csd", 1.0)]
    assert "own_head is given 2 times" in problems_of(
        [ObjectiveConfig("hvs_composite"), ObjectiveConfig("own_head")], has_cloud=True
    )


def test_hvs_starts_from_the_clouds_prototypes_and_bct_does_not():
    for name, starts_from_cloud in (("hvs_composite", True), ("backward_compatible", False)):
        (_, own), (_, cloud) = build_objectives([ObjectiveConfig(name)], head())
        assert isinstance(own, MarginSoftmax) and isinstance(cloud, InfluenceLoss)
        assert torch.equal(own.prototypes, cloud.prototypes) is starts_from_cloud


def test_options_reach_the_objective_and_whole_numbers_are_numbers():
    term = build_objective(ObjectiveConfig("csd", temperature=1, neighbours=3), head())
    assert (term.temperature, term.neighbours, term.cloud_temperature) == (1.0, 3, 1.0)
    assert isinstance(term.temperature, float)
    assert build_objective(ObjectiveConfig("cloud_head", variant="none"), head()).variant == "none"
    assert build_objective(ObjectiveConfig("cloud_head"), head()).variant == "arcface"


@record
class TwoFields:
    """Objectives in two places of one file, as recipes have them."""

    first: tuple[Term, ...] = ()
    second: tuple[Term, ...] = ()


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_term_is_read_flat_and_written_nested(place):
    def read(**table):
        (term,) = getattr(parse(TwoFields, {place: [table]}, what="terms"), place)
        return term

    flat = read(name="csd", weight=2, temperature=0.05)
    assert flat == ObjectiveConfig("csd", 2.0, temperature=0.05)
    assert read(**dataclasses.asdict(flat)) == flat
    with pytest.raises(InputError, match=r"options\.temperature"):
        read(name="csd", temperature=[1])
    with pytest.raises(InputError, match="name: missing"):
        read(weight=1.0)


def training_step(terms, dimension=4, cloud_dimension=4):
    torch.manual_seed(0)
    config = ModelConfig(dimension=dimension, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    model = EmbeddingModel("tiny", config, Preprocessing(height=8, width=8))
    own = head(dimension, cloud_dimension)
    module = TrainingModule.of(model, tuple(terms), own)
    cached = F.normalize(torch.randn(12, cloud_dimension), dim=1)
    cloud = CloudTensors(
        cached,
        torch.arange(12) % 3,
        bank=torch.arange(12),
        prototypes=own.cloud_prototypes,
        texts=cached[:3],
    )
    module.inputs = {"previous": cached.flip(0), "previous_right": torch.arange(12) % 2 == 0}
    rows = torch.tensor([0, 3, 1, 4, 2, 5])
    total, parts = module(torch.rand(6, 3, 8, 8), rows % 3, rows, cloud)
    total.backward()
    gradient = module.model.embedding.weight.grad
    assert total.isfinite() and gradient.isfinite().all() and gradient.abs().sum() > 0
    return {name: term for name, term in parts.items() if name != AGREEMENT}


@pytest.mark.parametrize("name", [name for name in CATALOG if name != "own_head"])
def test_every_objective_trains_a_model(name):
    beside = () if isinstance(CATALOG[name], Composite) else (ObjectiveConfig("own_head"),)
    few = {"neighbours": 5} if "neighbours" in getattr(CATALOG[name], "options", {}) else {}
    parts = training_step([*beside, ObjectiveConfig(name, options=few)])
    assert set(parts) == {part.name for part in expanded([*beside, ObjectiveConfig(name)])}


@pytest.mark.parametrize("dimension", [3, 6])
def test_a_model_of_another_dimension_can_be_compatible_through_the_head_alone(dimension):
    training_step([ObjectiveConfig("backward_compatible")], dimension)
    training_step([ObjectiveConfig("hvs_composite")], dimension)
    with pytest.raises(InputError, match=f"expected one dimension, got {dimension} .* dimension = 4"):
        training_step([ObjectiveConfig("raml")], dimension)
