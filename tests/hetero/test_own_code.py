"""What a recipe, a space or a model directory names by import string is imported only once that is allowed."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

import hetero
from hetero.cli.main import main
from hetero.errors import InputError
from hetero.own_code import VARIABLE
from hetero.pipeline.draft import load_recipe

SPY = """
from pathlib import Path
from hetero.models.backbones.edge_blocks import InvertedResidual as Block

Path(__file__).with_name("was-run").touch()

def term(batch):
    return 0
"""
RECIPE = """
name = "theirs"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 16
width = 16
[[students]]
name = "edge"
objectives = [{{ name = "{name}" }}]
"""


@pytest.fixture(autouse=True)
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "spy.py").write_text(SPY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spy", raising=False)
    # Set first, so that what a test sets is undone.
    monkeypatch.setenv(VARIABLE, "")
    return tmp_path / "was-run"


def recipe(folder: Path, name: str) -> Path:
    (folder / "recipe.toml").write_text(RECIPE.format(name=name))
    return folder / "recipe.toml"


def test_a_recipes_code_is_not_run_unless_it_is_allowed(tmp_path: Path, spy: Path) -> None:
    with pytest.raises(InputError, match=r"the objective 'spy:term' is code of its own.*--allow-code"):
        load_recipe(recipe(tmp_path, "spy:term"))
    assert not spy.exists()
    with pytest.raises(InputError, match=r"'os:system' is code of its own"):
        load_recipe(recipe(tmp_path, "os:system"))
    hetero.allow_code()
    assert load_recipe(recipe(tmp_path, "spy:term")).students[0].objectives[0].name == "spy:term"
    assert spy.exists()


def test_a_command_allows_it_for_itself(tmp_path: Path, spy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(recipe(tmp_path, "spy:missing"))
    for given, expected in (([], "--allow-code"), (["--allow-code"], "has no attribute 'missing'")):
        assert not spy.exists()
        with pytest.raises(SystemExit) as ended:
            main(["run", path, "--out", str(tmp_path / "run"), *given])
        assert ended.value.code == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "search",
        "upgrade",
        "compare",
        "evaluate",
        "embed",
        "export",
        "train cloud",
        "train students",
        "serve",
        "space check",
        "device latency",
    ],
)
def test_every_command_that_reads_such_a_file_can_allow_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert "--allow-code" in capsys.readouterr().out


def test_a_model_directorys_block_is_not_run_unless_it_is_allowed(tmp_path: Path, spy: Path) -> None:
    stage = hetero.Stage(channels=8, block="spy:Block")
    config = hetero.ModelConfig(family="edge", dimension=8, stem_channels=8, stages=(stage,))
    preprocessing = hetero.Preprocessing(16, 16)
    plain = dataclasses.replace(config, stages=(dataclasses.replace(stage, block="inverted_residual"),))
    model = hetero.EmbeddingModel("theirs", plain, preprocessing)
    model.config = config
    model.space = hetero.EmbeddingSpace.define(defined_by="x", name="n", version="1", dimension=8)
    hetero.save_model(tmp_path / "model", model, {})
    with pytest.raises(InputError, match=r"the block 'spy:Block' is code of its own.*--allow-code"):
        hetero.load_model(tmp_path / "model")
    assert not spy.exists()
    hetero.allow_code()
    images = np.zeros((1, 16, 16, 3), np.uint8)
    assert hetero.embed_images(hetero.load_model(tmp_path / "model"), images).shape == (1, 8)
    assert spy.exists()
