"""A rotation in the last layer: the folded model's vectors are the model's, rotated, in every kind of ending."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import export
from device_tests.checks.finding import RUNGS
from device_tests.checks.gates import Gates
from device_tests.faults.variants import copy_changed
from device_tests.ladder.verify import verify
from device_tests.targets.host import detect
from export import RetrievalSet, export_model
from export.bundle.reading import Bundle
from export.capture.source import from_module
from export.kinds.precision import Precision
from export.precision.calibration import calibration_set
from hetero.cli.main import main
from hetero.compact.compaction import compact, fold_student
from hetero.compact.derived import DerivedSpace
from hetero.compact.folding import folded, followed
from hetero.data.embeddings.file import Embeddings, embeddings_of, load_embeddings, save_embeddings
from hetero.errors import InputError, SpaceMismatchError
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


def embedded(of: EmbeddingModel, images: np.ndarray = IMAGES) -> np.ndarray:
    with torch.no_grad():
        return of(torch.from_numpy(images)).numpy()


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


CLASSES = 24
TARGETS, FORMATS = ("desktop", "phone-arm64"), ("onnx", "litert")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


def photos(seed: int) -> np.ndarray:
    """Two noisy views of each class, the first views first."""
    rng = np.random.default_rng(seed)
    plain = rng.integers(0, 256, (CLASSES, 16, 16, 3))
    views = [np.clip(plain + rng.integers(-10, 11, plain.shape), 0, 255) for _ in range(2)]
    return np.concatenate(views).astype(np.uint8)


PHOTOS, LABELS = photos(1), np.tile(np.arange(CLASSES), 2)


def bundle_of(
    student: Path,
    gallery: Embeddings,
    out: Path,
    formats: Sequence[str] = ("onnx",),
    precisions: Sequence[Precision] = ("fp32",),
) -> Bundle:
    """Export a student with a gallery of the photos."""
    first, second = np.arange(CLASSES), np.arange(CLASSES, 2 * CLASSES)
    retrieval = RetrievalSet(
        images=PHOTOS,
        labels=LABELS,
        cloud_embeddings=embeddings_of(gallery, gallery.names),
        tasks=(RetrievalTask("a>b", first, second), RetrievalTask("b>a", second, first)),
        names=tuple(gallery.names),
        space=gallery.space,
    )
    held, others = load_model(student), photos(2)
    assert held.space is not None
    calibration = calibration_set(others, LABELS, embedded(held, others), held.space)
    return export.read_bundle(
        export_model(
            student, retrieval, out, formats=formats, precisions=precisions, calibration=calibration, goldens=8
        )
    )


@dataclass(frozen=True)
class Spaces:
    """A student and a cloud's gallery, and both made smaller by ``hetero gallery compact``."""

    before: Path
    gallery: Embeddings
    small_gallery: Embeddings
    derived: DerivedSpace
    bundle: Bundle


@pytest.fixture(scope="module")
def spaces(tmp_path_factory: pytest.TempPathFactory) -> Spaces:
    root = tmp_path_factory.mktemp("folded")
    before, whole, small = root / "tiny", root / "whole.safetensors", root / "small"
    student = model()
    save_model(before, student, {})
    cloud = embedded(student, PHOTOS) + 0.05 * np.random.default_rng(2).normal(size=(2 * CLASSES, 16))
    cloud /= np.linalg.norm(cloud, axis=1, keepdims=True)
    save_embeddings(whole, cloud.astype(np.float32), [f"{row}.png" for row in range(2 * CLASSES)], PARENT)
    compact(str(whole), small, dimensions=8, precision="int8", kind="pca", students=[before])
    gallery = load_embeddings(small / "embeddings.safetensors")
    bundle = bundle_of(small / "students/tiny", gallery, root / "bundle", FORMATS, PRECISIONS)
    return Spaces(before, load_embeddings(whole), gallery, DerivedSpace.load(small), bundle)


@pytest.mark.slow
def test_its_files_answer_there_too_and_the_old_contract_is_refused(
    spaces: Spaces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, space = spaces.bundle, spaces.derived
    assert bundle.space == space.space and bundle.manifest.missing == ()
    np.testing.assert_allclose(
        bundle.goldens.retrieval_student, space(embedded(load_model(spaces.before), PHOTOS), PARENT), atol=2e-6
    )
    cosines = {file.format: file.min_cosine for file in bundle.manifest.models if file.precision == "fp32"}
    assert set(cosines) == set(FORMATS)
    assert all(cosine is not None and cosine > 1 - 1e-6 for cosine in cosines.values())
    with pytest.raises(SpaceMismatchError) as caught:
        bundle_of(spaces.before, spaces.small_gallery, tmp_path / "other")
    assert PARENT.space_id in str(caught.value) and space.space.space_id in str(caught.value)

    with pytest.raises(SystemExit) as ended:
        main(["verify", str(bundle.path), "--space", str(spaces.before / "space.json"), "--out", str(tmp_path)])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert PARENT.space_id in message and space.space.space_id in message


@pytest.mark.slow
@pytest.mark.emulator
def test_it_finds_the_small_gallery_on_a_phone_and_the_old_student_is_refused(spaces: Spaces, tmp_path: Path) -> None:
    try:
        detect()
    except InputError as error:
        pytest.skip(str(error))
    gates = Gates(largest_loss=0.1)  # 48 queries are too few to show that int8 loses less than one in a hundred
    verdict = verify([spaces.bundle.path], TARGETS, tmp_path / "small", gates, spaces.derived.space)
    assert {(row.target, row.format, row.precision, row.rung) for row in verdict.rows} == set(
        itertools.product(TARGETS, FORMATS, PRECISIONS, RUNGS)
    )
    assert [row for row in verdict.rows if row.status != "pass"] == []
    assert all(row.figures["cmc@1"] > 0.8 for row in verdict.rows if row.rung == "retrieval")

    old = bundle_of(spaces.before, spaces.gallery, tmp_path / "old")
    with pytest.raises(SpaceMismatchError) as caught:
        verify([old.path], TARGETS, tmp_path / "refused", gallery=spaces.derived.space)
    assert PARENT.space_id in str(caught.value) and spaces.derived.space.space_id in str(caught.value)
    assert not (tmp_path / "refused").exists()

    entry, other = spaces.bundle.model("onnx"), old.model("onnx")
    assert entry is not None and other is not None
    mixed = copy_changed(
        spaces.bundle, entry, tmp_path / "mixed", lambda copy: shutil.copy(old.path / other.file, copy / entry.file)
    )
    failed = [row for row in verify([mixed], TARGETS, tmp_path / "mixed-out").rows if row.rung == "loads"]
    assert [(row.target, row.status) for row in failed] == [(target, "fail") for target in TARGETS]
    assert all("embeddings of 8" in row.reason for row in failed)
