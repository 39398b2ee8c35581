"""Children neither work in the current folder nor find code there, and all begin in one place."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from hetero.processes import children
from tests.poison import poisoned

ROOT = Path(__file__).parents[2]
STARTS = {"subprocess": {"run", "Popen", "call", "check_call", "check_output"}, "os": {"system", "popen"}}
EXCEPT = ("hetero/processes/children.py", "hetero/processes/tether.py", "device_tests/runner/__main__.py")


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mark = poisoned(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    return mark


def test_a_spawned_process(executed: Path) -> None:
    before = dict(os.environ)
    process = children.spawn_context().Process(target=os.getpid)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert dict(os.environ) == before, "programs that need the folder they work in are started as before"
    assert not executed.exists()


def test_python(executed: Path) -> None:
    done = children.run([sys.executable, "-c", "import json, os; print(os.getcwd())"], check=True)
    assert Path(done.stdout.strip()) != executed.parent
    assert not Path(done.stdout.strip()).exists()
    assert not executed.exists()


def test_a_program_by_name(executed: Path) -> None:
    with pytest.raises(FileNotFoundError):
        children.run(["npm"], variables={"PATH": "."})
    assert children.which("adb") != executed.parent / "adb"
    assert not executed.exists()


def test_absolute_folders_stay(executed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", f"lib:{executed.parent}:")
    assert children.environment()["LD_LIBRARY_PATH"] == str(executed.parent)


def test_the_temporary_folder_stays(executed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "tmp")
    assert children.environment()["TMPDIR"] == str(executed.parent / "tmp")


def test_they_begin_in_one_place() -> None:
    """A program that another module starts would have to remember all this by itself."""
    elsewhere = [
        f"{name}:{call.lineno}"
        for package in ("hetero", "export", "device_tests")
        for path in (ROOT / package).rglob("*.py")
        if (name := path.relative_to(ROOT).as_posix()) not in EXCEPT
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and starts_a_process(call.func)
    ]
    assert elsewhere == []


def starts_a_process(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    return function.attr == "get_context" or function.attr in STARTS.get(function.value.id, set())
