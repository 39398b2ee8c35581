"""The executor's page: its snippet runs, and its list of operators is the table in the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from device_tests.runtimes.coreml import OPERATORS
from tests.device_tests.tiny_models import DIMENSION, HEIGHT, WIDTH, weights, write_coreml

PAGE = (Path(__file__).parents[4] / "docs" / "coreml-executor.md").read_text(encoding="utf-8")


def test_the_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    write_coreml(Path("model.fp16.mlpackage"), weights())
    np.save("images.npy", np.full((3, HEIGHT, WIDTH, 3), 7, np.uint8))
    exec(compile(snippet, "coreml-executor.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [f"(3, {DIMENSION})"]


def test_every_operator_is_listed_and_no_other() -> None:
    section = PAGE.split("## Operators")[1]
    listed = re.findall(r"`(\w+)`", section)
    assert sorted(listed) == sorted(OPERATORS)
