"""A converter executes nothing of what lies in the folder that the user is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.conversion.processes import run_all
from export.conversion.request import Request
from tests.poison import poisoned


def test_a_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, work = tmp_path / "here", tmp_path / "work"
    here.mkdir()
    work.mkdir()
    executed = poisoned(here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", ".")
    wanted = Request(
        program=str(work / "none.pt2"),
        int8_program="",
        format="onnx",
        files={"fp32": str(work / "model.onnx")},
        goldens=str(work / "none"),
        work=str(work),
        metadata={},
        height=1,
        width=1,
        any_batch=False,
        goals={"fp32": 1.0},
    )
    outcomes = run_all([wanted], finished=lambda _format, _precision: None)
    assert "none.pt2" in str(outcomes["onnx", "fp32"])
    assert not executed.exists()
