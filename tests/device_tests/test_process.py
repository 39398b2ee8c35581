"""What happens when a runtime does not behave: the runner is replaced by a script."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import device_tests.runner
from device_tests.targets.process import clean_environment, run_process
from device_tests.targets.target import Request, Returned


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, limit: float = 60.0) -> Returned:
    path = tmp_path / "runner.py"
    path.write_text(script)
    monkeypatch.setattr(device_tests.runner, "__file__", str(path))
    request = Request("x", "onnxruntime", tmp_path / "model", np.zeros((2, 1, 1, 3), np.uint8))
    told: list[tuple[int, int]] = []
    returned = run_process(
        [sys.executable],
        clean_environment(),
        request,
        lambda *now: told.append(now),
        emulated=False,
        silence_limit=limit,
    )
    assert told == ([(1, 2)] if "1 2" in script else [])
    return returned


def test_a_crash_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    returned = run(monkeypatch, tmp_path, "import os; print('1 2', flush=True); os.kill(os.getpid(), 11)")
    assert returned.embeddings is None
    assert "crashed with SIGSEGV" in returned.error


def test_an_emulated_crash_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "crashed with SIGILL" in run(monkeypatch, tmp_path, "import sys; sys.exit(128 + 4)").error


def test_an_exceptions_last_line_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "raise ValueError('no kernel for Foo')").error == (
        "ValueError: no kernel for Foo (exit status 1)"
    )


def test_leaving_without_a_report_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "pass").error == "it said nothing (exit status 0)"


def test_a_silent_process_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    returned = run(monkeypatch, tmp_path, "import time; print('1 2', flush=True); time.sleep(60)", limit=0.5)
    assert returned.error == "no progress for 0 s; killed"


def test_settings_of_this_shell_do_not_reach_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "PYTHONPATH", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "9")
    environment = clean_environment(EXTRA="1")
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["EXTRA"] == "1"
    assert not {"LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "PYTHONPATH"} & set(environment)
