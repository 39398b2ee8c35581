"""An upgrade end to end on images of 16 pixels: contract, files of embeddings, classes unknown before, resume."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from hetero.data.embeddings.file import save_embeddings
from hetero.data.subset import with_rows
from hetero.errors import InputError
from hetero.models.directory import load_model, load_prototypes
from hetero.models.embed import embed_images
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from hetero.training.cloud import train_cloud
from hetero.training.config import ObjectiveConfig
from hetero.upgrade.config import UpgradeConfig
from hetero.upgrade.earlier import EarlierModel
from hetero.upgrade.measure import Upgrade
from hetero.upgrade.train import compatible_validation, train_upgrade
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

WIDER = cloud(12, name="new", version="2")


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A model of 8 dimensions that knows two of the four classes."""
    directory = tmp_path_factory.mktemp("old")
    train_cloud(dataset(("a", "c")), cloud(), SHAPE, directory, seed=1)
    return directory


def test_a_new_model_of_another_dimension_with_control_and_contract(old, tmp_path):
    measured = train_upgrade(dataset(), old, WIDER, UpgradeConfig(control=True), SHAPE, tmp_path)
    space = EmbeddingSpace.load(tmp_path / "space.json")
    assert (space.dimension, space.compatible_with) == (12, measured.contract())
    assert Upgrade.load(tmp_path / "upgrade.json") == measured
    assert measured.old == EmbeddingSpace.load(old / "space.json").space_id
    assert measured.of("cmc@1").tax is not None
    control = load_model(tmp_path / "control").space
    assert control.space_id != space.space_id and control.compatible_with == ()


def test_the_figures_are_those_of_the_saved_model(old, tmp_path):
    measured = train_upgrade(dataset(), old, cloud(), UpgradeConfig(), SHAPE, tmp_path)
    images = dataset().test
    new, before = (embed_images(load_model(path), images.images) for path in (tmp_path, old))
    nearest = (new @ before.T - 2 * np.eye(8)).argmax(axis=1)
    assert measured.of("cmc@1").cross == np.mean(images.labels[nearest] == images.labels)


def test_classes_that_the_old_head_lacks_get_means_or_are_skipped(old):
    earlier = EarlierModel.open(old, SHAPE)
    head = load_prototypes(old)
    means = earlier.reference(dataset(), "class_means").prototypes
    skipped = earlier.reference(dataset(), "skip").prototypes
    np.testing.assert_array_equal(means[[0, 2]], head)
    np.testing.assert_array_equal(skipped[[0, 2]], head)
    assert not skipped[[1, 3]].any()
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, atol=1e-6)


def test_embeddings_stand_in_for_the_old_model(old, tmp_path):
    model, data = load_model(old), dataset()
    sets = (data.train, data.validation, data.test)
    vectors = np.concatenate([embed_images(model, one.images) for one in sets])
    names = [name for one in sets for name in one.names]
    save_embeddings(tmp_path / "old.safetensors", vectors, names, model.space)
    measured = train_upgrade(data, tmp_path / "old.safetensors", WIDER, UpgradeConfig(), SHAPE, tmp_path / "new")
    assert measured.old == model.space.space_id
    with pytest.raises(InputError, match="no head"):
        train_upgrade(data, tmp_path / "old.safetensors", WIDER, UpgradeConfig(missing_classes="skip"), SHAPE, tmp_path)
    save_embeddings(tmp_path / "less.safetensors", vectors[:-8], names[:-8], model.space)
    with pytest.raises(InputError, match="8 of 8 images have no embedding"):
        train_upgrade(data, tmp_path / "less.safetensors", WIDER, UpgradeConfig(), SHAPE, tmp_path / "new")


def test_an_interrupted_upgrade_ends_in_the_same_bits(old, tmp_path):
    config = UpgradeConfig(live=True, objectives=(ObjectiveConfig("cloud_head"), ObjectiveConfig("cloud_regression")))
    same = dataclasses.replace(cloud(), copies=1)
    train_upgrade(dataset(), old, same, config, SHAPE, tmp_path / "whole")
    directory = tmp_path / "parts"

    class Killed(BaseException):
        pass

    class Dies:
        calls = 0

        def __call__(self, *_, **__):
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hetero.training.loop.loop._Loop._validate", Dies())
        with pytest.raises(Killed):
            train_upgrade(dataset(), old, same, config, SHAPE, directory)
    train_upgrade(dataset(), old, same, config, SHAPE, directory)
    for name in ("model.safetensors", "space.json", "upgrade.json", "prototypes.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (directory / name).read_bytes()


def test_a_changed_constraint_is_another_run(old, tmp_path):
    train_upgrade(dataset(), old, cloud(), UpgradeConfig(), SHAPE, tmp_path)
    first = (tmp_path / "model.safetensors").read_bytes()
    train_upgrade(dataset(), old, cloud(), UpgradeConfig(missing_classes="skip"), SHAPE, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() != first


def test_weights_are_chosen_by_both_figures(old):
    data, model = dataset(), load_model(old)
    reference = EarlierModel.open(old).reference(data, "class_means")
    validate = compatible_validation(data, reference, "cmc@1")
    labels = data.validation.labels
    vectors = embed_images(model, data.validation.images)
    right = labels[(vectors @ vectors.T - 2 * np.eye(8)).argmax(axis=1)] == labels
    assert validate(model).figure == right.mean()  # the old model itself: both figures are M(o, o)
    torch.manual_seed(0)
    turned = dataclasses.replace(reference, validation=-reference.validation)
    apart = compatible_validation(data, turned)(model)
    assert apart.figures["cmc@1"] < right.mean()
    assert apart.judged_by == "map@r" and apart.figure == (apart.figures["M(n, n)"] + apart.figures["M(n, o)"]) / 2
    alone = compatible_validation(data, dataclasses.replace(reference, validation=None), "cmc@1")(model)
    assert alone.figure == right.mean()


def test_an_upgrade_is_not_judged_by_a_space_that_it_leaves(old):
    data = dataset()
    reference = EarlierModel.open(old).reference(data, "class_means")
    with pytest.raises(InputError, match=r"cloud.training.judged_by: agreement .* expected auto, cmc@1, .*"):
        compatible_validation(data, reference, "agreement")


def test_an_old_model_of_another_preprocessing_is_refused(old, tmp_path):
    with pytest.raises(InputError, match=r"takes images of 16x16 .* decoded to 32x32 .*hetero embed"):
        train_upgrade(dataset(), old, WIDER, UpgradeConfig(), Preprocessing(height=32, width=32), tmp_path)


def test_the_record_is_json_for_other_tools(old, tmp_path):
    train_upgrade(dataset(), old, WIDER, UpgradeConfig(), SHAPE, tmp_path)
    record = json.loads((tmp_path / "upgrade.json").read_text())
    assert record["schema"] == "hetero/upgrade/1" and record["figures"][0]["metric"] == "cmc@1"


def test_images_without_a_label_are_left_out_and_without_any_it_is_refused(old, tmp_path):
    whole = dataset()
    labels = np.asarray(whole.train.labels).copy()
    labels[[1, 6]] = len(whole.train.classes) + np.arange(2)
    partly = whole.training_on(dataclasses.replace(whole.train, labels=labels))
    named = whole.training_on(with_rows(partly.train, np.flatnonzero(partly.train.labelled)))
    left = [train_upgrade(one, old, WIDER, UpgradeConfig(), SHAPE, tmp_path / name)
            for name, one in (("partly", partly), ("named", named))]  # fmt: skip
    assert left[0] == left[1]
    bare = whole.training_on(dataclasses.replace(whole.train, labels=np.arange(16), classes=()))
    with pytest.raises(InputError, match="cloud model new: own_head, supervised_contrastive, cloud_head learn from"):
        train_upgrade(bare, old, WIDER, UpgradeConfig(), SHAPE, tmp_path / "bare")
    assert not (tmp_path / "bare").exists()
