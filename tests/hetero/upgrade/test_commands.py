"""``hetero upgrade`` as a user meets it: what it prints, its exit status, and one clear message for each mistake."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from hetero.cli.main import main
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from hetero.training.cloud import train_cloud
from hetero.upgrade.config import load_upgrade_recipe
from hetero.upgrade.measure import Upgrade
from tests.hetero.data.pictures import write_flat
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

RECIPE = """
name = "v2"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 16
width = 16
[cloud.model]
family = "residual"
dimension = 8
stem_channels = 8
stages = [{ channels = 16, stride = 2 }]
[cloud.training]
steps = 3
validate_every = 3
threads = 1
[upgrade]
old = "v1"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    generator = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in "abcd":
            (folder / "photos" / split / label).mkdir(parents=True)
            for index in range(3):
                pixels = generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / split / label / f"{index}.png")
    train_cloud(dataset(), cloud(), SHAPE, folder / "v1", seed=1)
    (folder / "upgrade.toml").write_text(RECIPE)
    return folder


def taller(data: Dataset) -> Dataset:
    """The same with eight rows of pixels more."""
    parts = {
        name: dataclasses.replace(one, images=np.pad(one.images[:], ((0, 0), (0, 8), (0, 0), (0, 0))))
        for name, one in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    return dataclasses.replace(data, **parts)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["upgrade", *map(str, arguments)])
    return int(ended.value.code)


def test_it_trains_measures_and_says_so(place, monkeypatch, capsys):
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    status = run(place / "upgrade.toml", "--out", place / "v2")
    measured = Upgrade.load(place / "v2" / "upgrade.json")
    printed = capsys.readouterr().out
    assert f"criterion M(new, old) > M(old, old): {measured.status}" in printed
    assert f"M(new, old) {measured.of('cmc@1').cross:.3f}" in printed
    assert status == (measured.status == "fails")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (('old = "v1"', ""), "upgrade.old: expected the old model's directory"),
        (('old = "v1"', 'old = "nowhere"'), "found nothing"),
        (('old = "v1"', 'old = "photos"'), "expected a model directory, got"),
        (("steps = 3", "steps = 0"), "cloud.training.steps"),
        (("[upgrade]", '[upgrade]\nmissing_classes = "guess"'), "missing_classes"),
        (("[cloud.model]", '[cloud]\nonnx = "x.onnx"\n[cloud.model]'), "remove onnx"),
        (("[upgrade]", '[upgrade]\nobjectives = [{ name = "cloud_head", variant = "old" }]'), "cloud_head.variant"),
        (("[upgrade]", '[upgrade]\nobjectives = [{ name = "hvs_composite" }]'), "own_head is given 2 times"),
        (("height = 16", "height = 24"), "takes images of 16x16"),
    ],
)
def test_each_mistake_is_one_message(place, monkeypatch, capsys, edit, message):
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    (place / "wrong.toml").write_text(RECIPE.replace(*edit))
    assert run(place / "wrong.toml", "--out", place / "wrong") == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_all_mistakes_come_together_before_an_image_is_decoded(place, monkeypatch, capsys):
    monkeypatch.setenv("HETERO_CACHE", str(place / "untouched"))
    text = RECIPE.replace("steps = 3", "steps = 0").replace('"v1"', '"nowhere"') + "live = 3\ncontrols = true\n"
    (place / "wrong.toml").write_text(text)
    arguments = ("--data", place / "no-photos", "--seed", "-1", "--out", place / "wrong")
    assert run(place / "wrong.toml", *arguments) == 2
    error = capsys.readouterr().err
    for part in (
        "cloud.training.steps: expected 1 or more, or 'auto', got 0",
        "upgrade.live",
        "upgrade.controls: unknown key",
        "seed: expected 0 or more, got -1",
        "upgrade.old: expected a model directory or a file of embeddings",
        "data: expected an image folder at",
    ):
        assert part in error, error
    assert not (place / "untouched").exists() and not (place / "wrong").exists()


def test_options_override_the_recipe(place, monkeypatch, capsys):
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    other = place / "other"
    train_cloud(taller(dataset()), cloud(), Preprocessing(height=24, width=16), other)
    assert run(place / "upgrade.toml", "--old", other, "--out", place / "v3") == 2
    assert "takes images of 24x16" in capsys.readouterr().err
    assert run(place / "missing.toml") == 2
    assert "found no file" in capsys.readouterr().err


def test_it_refuses_before_it_reads_anything_what_this_machine_cannot_do(tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "upgrade.toml"
    recipe.write_text(RECIPE.replace("threads = 1", 'precision = "16-mixed"'))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert run(recipe) == 2 and '"16-mixed" needs a GPU' in capsys.readouterr().err


def test_photos_without_labels_are_told_before_anything_runs(place, tmp_path):
    flat = write_flat(tmp_path / "flat", 12)
    with pytest.raises(InputError) as caught:
        load_upgrade_recipe(place / "upgrade.toml", data=flat)
    (problem,) = caught.value.problems
    assert problem.startswith("cloud and upgrade objectives: own_head, supervised_contrastive, cloud_head learn from")
    assert "none has one" in problem
