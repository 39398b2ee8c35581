"""No command of the command line executes what lies in the folder that it is started in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.every_command import ARGUMENTS, Name, names, prepare, run
from tests.poison import poisoned
from tests.snippets import ROOT

MODULE = ["-m", "hetero", "device", "list"]
BY_PYTHON_ITSELF = ("hetero", "importlib")
"""Of the names in the folder, those that ``python -m`` imports before any code of ours runs."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prepared")
    prepare(place)
    return place


@pytest.fixture
def executed(tmp_path: Path) -> Path:
    (tmp_path / "poisoned").mkdir()
    return poisoned(tmp_path / "poisoned")


def test_no_command_is_forgotten() -> None:
    assert set(names()) == set(ARGUMENTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARGUMENTS, ids=" ".join)
def test_a_command(name: Name, prepared: Path, executed: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    shutil.copytree(prepared, here)
    variables = {**os.environ, "PATH": f".:{os.environ['PATH']}", "HETERO_CACHE": str(here / "cache")}
    done = run(name, here, tmp_path / "out", cwd=executed.parent, variables=variables)
    assert not executed.exists(), executed.read_text()
    # An untrained toy retrieves by chance, so a gate may fail or not be verified; but it was judged.
    assert done.returncode in (0, 1, 3), done.stderr


def test_the_module_without_a_look_at_the_folder(executed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", *MODULE], cwd=executed.parent, env=plain(), capture_output=True, text=True, check=False
    )
    assert not executed.exists(), executed.read_text()
    assert done.returncode == 0, done.stderr


def test_the_module_looks_there_no_longer_than_python_itself(executed: Path) -> None:
    for name in BY_PYTHON_ITSELF:
        shutil.rmtree(executed.parent / name)
    for name in ("cyclopts", "io", "pydantic"):
        (executed.parent / f"{name}.py").write_text(f"open({str(executed)!r}, 'a').write({name!r})")
    done = subprocess.run(
        [sys.executable, *MODULE], cwd=executed.parent, env=plain(), capture_output=True, text=True, check=False
    )
    assert not executed.exists(), executed.read_text()
    assert done.returncode == 0, done.stderr


def plain() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": ""}
