"""A set-up that is killed while it makes one of its folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def kill_while_making(stage: str, root: Path, code: str) -> dict[str, int]:
    """Start a set-up and kill it in the middle of a stage.

    Args:
        stage: The folder's name.
        root: Of the set-up.
        code: Python that sets up below ``root``.

    Returns:
        When the stages that it finished did so, by name, for :func:`finished`.
    """
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not list(root.glob(f".{stage}.*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
    done = finished(root)
    assert stage not in done
    return done


def finished(root: Path) -> dict[str, int]:
    """Nanoseconds at which each stage of a set-up was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in root.glob("*/.stage.json")}
