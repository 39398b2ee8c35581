"""A rotation in the last layer: the folded model's vectors are the model's, rotated, in every kind of ending."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import export
from export import RetrievalSet, export_model
from export.capture.source import from_module
from hetero.cli.main import main
from hetero.compact.compaction import fold_student
from hetero.compact.derived import DerivedSpace
from hetero.compact.folding import folded, followed
from hetero.errors import SpaceMismatchError
from hetero.geometry.principal import principal_directions
from hetero.metrics.task import RetrievalTask
from hetero.models.config import ModelConfig, Stage
from hetero.models.cost import cost
from hetero.models.directory import load_model, save_model
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.training.principal_layer import start_at
from tests.hetero.compact.spaces import OTHER, PARENT, derived, vectors

SHAPE = Preprocessing(16, 16)
STAGES = (Stage(channels=8, stride=2),)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)


def model(family: str = "edge", principal: int = 0) -> EmbeddingModel:
    """A model whose neck has the images' statistics and learnt scales and offsets."""
    torch.manual_seed(0)
    student = EmbeddingModel(
        "tiny", ModelConfig(family=family, dimension=16, stem_channels=8, stages=STAGES, principal=principal), SHAPE
    )
    if principal:
        start_at(student, principal_directions(vectors(), principal))
    with torch.no_grad():
        student.neck.weight.mul_(torch.rand(len(student.neck.weight)) + 0.5)
        student.neck.bias.add_(0.3 * torch.randn(len(student.neck.bias)))
        for module in student.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = None
        student.train()(torch.from_numpy(IMAGES))
    student.space = PARENT
    return student.eval()


def embedded(of: EmbeddingModel) -> np.ndarray:
    with torch.no_grad():
        return of(torch.from_numpy(IMAGES)).numpy()


@pytest.mark.parametrize(("family", "principal"), [("edge", 0), ("residual", 0), ("edge", 4), ("edge", 12)])
@pytest.mark.parametrize("dimension", [2, 8])
def test_it_answers_in_the_derived_space(family: str, principal: int, dimension: int, tmp_path: Path) -> None:
    before, space = model(family, principal), derived(dimension)
    expected = space(embedded(before), PARENT)
    after = folded(before, space)
    np.testing.assert_allclose(embedded(after), expected, atol=2e-6)
    assert after.space == space.space and after.config.dimension == dimension
    assert cost(after).macs < cost(before).macs
    assert after.config.principal == (principal if (principal, dimension) == (4, 8) else 0)
    assert embedded(before).shape == (6, 16)  # unchanged

    save_model(tmp_path / "before", before, {})
    fold_student(tmp_path / "before", space, tmp_path / "after")
    np.testing.assert_array_equal(embedded(load_model(tmp_path / "after")), embedded(after))


def test_students_of_other_spaces_are_refused(tmp_path: Path) -> None:
    other = model()
    other.space = OTHER
    save_model(tmp_path / "other", other, {})
    with pytest.raises(SpaceMismatchError) as caught:
        fold_student(tmp_path / "other", derived(), tmp_path / "out")
    assert PARENT.space_id in str(caught.value) and OTHER.space_id in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_any_other_module_gets_a_layer_behind_it() -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 16), nn.Tanh()).eval()
    before = from_module(own, SHAPE, PARENT, name="own").embed(IMAGES)
    after = from_module(followed(own, derived()), SHAPE, derived().space, name="own").embed(IMAGES)
    np.testing.assert_allclose(after, derived()(before, PARENT), atol=1e-6)


def retrieval(space: DerivedSpace) -> RetrievalSet:
    return RetrievalSet(
        images=IMAGES,
        labels=np.array([0, 1, 2, 0, 1, 2]),
        cloud_embeddings=space(vectors()[:6], PARENT),
        tasks=(RetrievalTask("a", np.arange(3), np.arange(3, 6)),),
        names=tuple("abcdef"),
        space=space.space,
    )


@pytest.mark.slow
def test_its_files_answer_there_too_and_the_old_contract_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = derived()
    save_model(tmp_path / "before", model(), {})
    fold_student(tmp_path / "before", space, tmp_path / "after")
    bundle = export.read_bundle(
        export_model(tmp_path / "after", retrieval(space), tmp_path / "bundle", formats=("onnx", "litert"), goldens=4)
    )
    assert bundle.space == space.space and bundle.manifest.missing == ()
    np.testing.assert_allclose(
        bundle.goldens.retrieval_student, space(embedded(load_model(tmp_path / "before")), PARENT), atol=2e-6
    )
    cosines = {file.format: file.min_cosine for file in bundle.manifest.models}
    assert set(cosines) == {"onnx", "litert"}
    assert all(cosine is not None and cosine > 1 - 1e-6 for cosine in cosines.values())
    with pytest.raises(SpaceMismatchError) as caught:
        export_model(tmp_path / "before", retrieval(space), tmp_path / "other", formats=("onnx",), goldens=4)
    assert PARENT.space_id in str(caught.value) and space.space.space_id in str(caught.value)

    with pytest.raises(SystemExit) as ended:
        main(["verify", str(bundle.path), "--space", str(tmp_path / "before" / "space.json"), "--out", str(tmp_path)])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert PARENT.space_id in message and space.space.space_id in message
