"""A whole comparison on generated pictures: choices, seeds, an adapter, and nothing trained twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from hetero.cli.main import main

FILE = """
name = "tiny"
seeds = [0, 1]

[data]
kind = "folder"
path = "photos"

[preprocessing]
height = 16
width = 16

[cloud]
copies = 1
model = {{ family = "residual", dimension = 8, stem_channels = 8, stages = [{{ channels = 16, stride = 2 }}] }}
training = {training}

[student]
model = {{ stem_channels = 8, stages = [{{ channels = 8, stride = 2 }}] }}
training = {training}

[[methods]]
name = "plain"
independent = true
objectives = [{{ name = "own_head" }}]

[[methods]]
name = "turned"
adapter = "procrustes"
of = "plain"

[[methods]]
name = "contrast"
variants = [
    [{{ name = "cloud_contrastive", temperature = 0.05 }}],
    [{{ name = "cloud_contrastive", temperature = 0.2 }}],
]
"""
TRAINING = "{ steps = 4, classes_per_batch = 3, images_per_class = 2, validate_every = 2, threads = 1 }"


@pytest.fixture
def file(tmp_path):
    generator = np.random.default_rng(0)
    for split, classes in (("train", "abcd"), ("validation", "ef"), ("test", "gh")):
        for name in classes:
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            ground = generator.integers(0, 256, 3)
            for number in range(4):
                pixels = np.clip(ground + generator.integers(-40, 40, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    path = tmp_path / "tiny.toml"
    path.write_text(FILE.format(training=TRAINING))
    return path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *arguments])
    return stopped.value.code


@pytest.mark.slow
def test_a_comparison_trains_each_choice_once_and_the_chosen_ones_with_every_seed(file, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(str(file), "--out", str(out), "--jobs", "2") == 0
    written = json.loads((out / "compare.json").read_text())
    rows = {row["name"]: row for row in written["methods"]}
    assert set(rows) == {"plain", "turned", "contrast"}
    chosen = rows["contrast"]["trained_as"]
    assert chosen in ("contrast.1", "contrast.2")
    assert {one.name for one in (out / "seed-0" / "students").iterdir()} == {"plain", "contrast.1", "contrast.2"}
    assert {one.name for one in (out / "seed-1" / "students").iterdir()} == {"plain", chosen}
    assert all(len(row["asymmetric"]["map@r"]["seeds"]) == 2 for row in rows.values())
    assert "| method |" in capsys.readouterr().out

    models = sorted(out.glob("seed-*/students/*/model.safetensors"))
    before = [model.stat().st_mtime_ns for model in models]
    assert run(str(file), "--out", str(out)) == 0
    assert [model.stat().st_mtime_ns for model in models] == before
    assert json.loads((out / "compare.json").read_text()) == written


def test_a_comparison_that_is_not_there_is_one_clear_message(capsys, tmp_path):
    assert run(str(tmp_path / "none.toml")) == 2
    assert "expected a comparison" in capsys.readouterr().err
