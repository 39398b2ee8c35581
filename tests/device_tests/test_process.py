"""What happens when a runtime does not behave: the engine is replaced by a script."""

from __future__ import annotations

import dataclasses
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.targets import process
from device_tests.targets.job import clean_environment, runner_files
from device_tests.targets.process import LocalRunner
from device_tests.targets.target import Request, Returned

ENGINES = """
import sys, os, time
import numpy as np
class Engine:
    modules, version = ("json",), "1"
    def __init__(self, model, settings): self.model = model
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def run(self, images):
        print("1 2", flush=True)
        {script}
        return np.full((1, 2), images.mean(), np.float32)
Runtime = Engine
def engine(name): return Engine
{early}
"""


def runner_with(
    monkeypatch: pytest.MonkeyPatch, script: str, limit: float = 60.0, early: str = "", **limits: Any
) -> LocalRunner:
    files = runner_files() | {"engines.py": ENGINES.format(script=script, early=early).encode()}
    monkeypatch.setattr(process, "runner_files", lambda: files)
    return LocalRunner([sys.executable], clean_environment(), emulated=False, silence_limit=limit, **limits)


def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, limit: float = 60.0, early: str = ""
) -> tuple[Returned, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    runner = runner_with(monkeypatch, script, limit, early)
    returned = runner.run(request(tmp_path), lambda *now: told.append(now))
    runner.close()
    return returned, told


def request(tmp_path: Path, grey: int = 0) -> Request:
    return Request("x", "onnxruntime", tmp_path / "model", np.full((2, 1, 1, 3), grey, np.uint8))


def test_one_process_imports_and_each_model_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A crash ends one model's process; those after it are served by the same session."""
    imports = tmp_path / "imports"
    early = f"open({str(imports)!r}, 'a').write('x')"
    runner = runner_with(monkeypatch, "images.mean() == 7 and os.kill(os.getpid(), 11)", early=early)
    answers = [runner.run(request(tmp_path, grey), lambda _done, _total: None) for grey in (3, 7, 5)]
    runner.close()
    assert "SIGSEGV" in answers[1].error
    for answer, grey in ((answers[0], 3), (answers[2], 5)):
        assert answer.embeddings is not None
        assert answer.embeddings.tolist() == [[grey, grey]] * 2
    assert imports.read_text() == "x"


def test_what_a_runtime_leaves_in_its_temporary_folder_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    left = f"import tempfile; name = tempfile.mkstemp()[1]; open({str(told)!r}, 'w').write(name)"
    returned, _ = run(monkeypatch, tmp_path, left)
    assert returned.error == ""
    assert Path(told.read_text()).parent.name == "scratch"
    assert not Path(told.read_text()).exists()


def test_runtimes_that_start_at_once_find_the_runner_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = runner_with(monkeypatch, "pass")
    files = process.runner_files()

    def slow_to_copy() -> dict[str, bytes]:
        time.sleep(0.3)
        return files

    monkeypatch.setattr(process, "runner_files", slow_to_copy)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: runner.run(request(tmp_path), lambda _done, _total: None), range(2)))
    runner.close()
    assert [answer.error for answer in answers] == ["", ""]


def test_a_crash_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    returned, told = run(monkeypatch, tmp_path, "os.kill(os.getpid(), 11)")
    assert returned.embeddings is None
    assert "crashed with SIGSEGV" in returned.error
    assert told == [(1, 2)]


def test_an_emulated_crash_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "crashed with SIGILL" in run(monkeypatch, tmp_path, "os._exit(128 + 4)")[0].error


def test_an_exceptions_last_line_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "raise ValueError('no kernel for Foo')")[0].error == (
        "ValueError: no kernel for Foo (exit status 1)"
    )


def test_leaving_without_a_report_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "os._exit(0)")[0].error == "it said nothing (exit status 0)"


def test_a_runtime_that_cannot_be_imported_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    returned, _ = run(monkeypatch, tmp_path, "pass", early="raise ImportError('no such library')")
    assert returned.error == "ImportError: no such library (exit status 1)"
    assert not returned.not_verified


def test_a_runtime_that_crashes_on_import_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    returned, _ = run(monkeypatch, tmp_path, "pass", early="os.kill(os.getpid(), 4)")
    assert "crashed with SIGILL" in returned.error


def test_a_runtime_that_cannot_tell_is_not_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "e = ValueError('cannot tell'); e.exit_code = 3; raise e"
    returned, _ = run(monkeypatch, tmp_path, script)
    assert (returned.error, returned.not_verified) == ("cannot tell", True)


def test_a_silent_process_is_killed_with_its_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = f"time.sleep(3); open({str(note)!r}, 'w').write('still here')"
    returned, _ = run(monkeypatch, tmp_path, script, limit=1.0)
    assert returned.error == "no progress for 1 s; killed"
    time.sleep(3)
    assert not note.exists()


def test_progress_does_not_put_off_the_end_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = runner_with(monkeypatch, "while True: print('1 2', flush=True)", total_limit=2.0)
    returned = runner.run(request(tmp_path), lambda _done, _total: None)
    runner.close()
    assert returned.error == "not done after 2 s; killed"


def test_a_model_that_takes_too_much_memory_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limits = dataclasses.replace(process.LIMITS, memory_bytes=1 << 30)
    runner = runner_with(monkeypatch, "bytearray(2 << 30)", limits=limits)
    returned = runner.run(request(tmp_path), lambda _done, _total: None)
    runner.close()
    assert returned.error == "MemoryError (exit status 1)"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_a_model_runs_within_limits_of_which_nobody_thinks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kinds = "resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE"
    script = f"import resource; raise OSError(str([resource.getrlimit(kind)[0] for kind in ({kinds})]))"
    returned, _ = run(monkeypatch, tmp_path, script)
    assert returned.error == f"OSError: {[8 << 30, 4 * 3600, 1 << 30]} (exit status 1)"


def test_settings_of_this_shell_do_not_reach_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "PYTHONPATH", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "9")
    environment = clean_environment(EXTRA="1")
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["EXTRA"] == "1"
    assert not {"LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "PYTHONPATH"} & set(environment)
