"""A program that ends with whoever started it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from device_tests.targets.phone_system import tether

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
LIVE = "import pathlib, os, time, sys; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"


def started(folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    process = subprocess.Popen(
        [sys.executable, "-s", tether.__file__, sys.executable, "-c", LIVE, str(folder / "pid")], stdin=subprocess.PIPE
    )
    wait_until(lambda: (folder / "pid").is_file() and (folder / "pid").read_text() != "")
    return process, Path("/proc") / (folder / "pid").read_text()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_over(program: Path) -> bool:
    try:
        return (program / "stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_ends_when_nobody_holds_its_input(tmp_path: Path) -> None:
    process, program = started(tmp_path)
    assert not is_over(program)
    assert process.stdin is not None
    process.stdin.close()
    wait_until(lambda: is_over(program))
    process.wait()


def test_it_ends_when_the_script_is_killed(tmp_path: Path) -> None:
    process, program = started(tmp_path)
    process.kill()
    wait_until(lambda: is_over(program))
    process.communicate()


def test_its_status_is_passed_on() -> None:
    command = [sys.executable, "-s", tether.__file__, sys.executable, "-c", "raise SystemExit(7)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait() == 7
