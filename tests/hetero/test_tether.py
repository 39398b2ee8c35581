"""A program that ends with whoever started it, and keeps within limits."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hetero.processes import children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
LIVE = "import pathlib, os, time, sys; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
LIMITS = children.Limits(memory_bytes=1 << 30, processor_seconds=2, file_bytes=1000)


def started(folder: Path, leaves: Path | None = None) -> tuple[subprocess.Popen[bytes], Path]:
    process = children.tethered([sys.executable, "-c", LIVE, folder / "pid"], folder=folder, leaves=leaves)
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


def test_it_ends_when_nobody_holds_its_input_and_its_folder_goes(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    process, program = started(tmp_path, left)
    assert not is_over(program)
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    assert is_over(program)
    assert not left.exists()


def test_it_ends_when_the_script_is_killed(tmp_path: Path) -> None:
    process, program = started(tmp_path)
    process.kill()
    wait_until(lambda: is_over(program))
    process.communicate()


def ended(code: str, folder: Path, limits: children.Limits | None = None, given: bytes = b"") -> tuple[int, bytes]:
    """Status and output of Python code."""
    process = children.tethered(
        [sys.executable, "-c", code], folder=folder, stdout=subprocess.PIPE, reads=True, limits=limits
    )
    assert process.stdin is not None and process.stdout is not None
    with process:
        process.stdin.write(given)
        process.stdin.flush()
        return process.wait(), process.stdout.read()


def test_its_status_is_passed_on(tmp_path: Path) -> None:
    assert ended("raise SystemExit(7)", tmp_path)[0] == 7
    assert ended("import os; os.kill(os.getpid(), 11)", tmp_path)[0] == -11
    assert ended("import os; os.kill(os.getpid(), 9)", tmp_path)[0] == -9


def test_it_reads_what_the_script_is_given(tmp_path: Path) -> None:
    assert ended("print(input()[::-1])", tmp_path, given=b"abc\n") == (0, b"cba\n")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("try: bytearray(2 << 30)\nexcept MemoryError: print('memory')", (0, b"memory\n")),
        (
            "f = open('x', 'wb', 0)\nf.write(bytes(1000))\ntry: f.write(b'x')\nexcept OSError as e: print(e.errno)",
            (0, b"27\n"),
        ),
        ("while True: pass", (-signal.SIGXCPU, b"")),
        ("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", (-signal.SIGKILL, b"")),
    ],
    ids=["memory", "files", "processor", "deaf"],
)
def test_limits(code: str, told: tuple[int, bytes], tmp_path: Path) -> None:
    assert ended(code, tmp_path, LIMITS) == told


def test_within_limits_there_are_no_new_privileges(tmp_path: Path) -> None:
    code = "print([line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')][0].split()[1])"
    assert ended(code, tmp_path, LIMITS) == (0, b"1\n")
    assert ended(code, tmp_path) == (0, b"0\n")


def test_within_limits_there_is_no_network_where_that_can_be_had(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system does not allow it")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        assert ended(code, tmp_path)[0] == 0
        assert ended(code, tmp_path, LIMITS)[0] == 1
