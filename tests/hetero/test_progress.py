"""Progress: a bar, lines, or nothing."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from hetero.display import progress
from hetero.display.progress import VARIABLE, Bar, progress_mode
from hetero.pipeline.engine.screen import Screen


def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error that goes to a file; patched by each test itself, after pytest's own."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delenv(VARIABLE, raising=False)
    return stream


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_a_log_gets_whole_lines_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = log(monkeypatch)
    assert progress_mode() == "plain"
    clock = Clock(monkeypatch)
    bar = Bar(total=4, desc="training", unit="step")
    for seconds in (0.0, 9.0, 11.0, 12.0):
        clock.now = seconds
        bar.set_postfix_str(f"at {seconds}", refresh=False)
        bar.update()
        bar.refresh()
    bar.clear()
    bar.close()
    bar.close()
    first, last = stream.getvalue().splitlines()
    assert first.startswith("training:  75% 3/4 [") and first.endswith(", at 11.0]")
    assert last.startswith("training: 100% 4/4 [") and "\r" not in stream.getvalue()


def test_nothing_to_do_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = log(monkeypatch)
    assert list(Bar([], desc="embedding")) == [] and stream.getvalue() == ""


def test_quiet_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = log(monkeypatch)
    monkeypatch.setenv(VARIABLE, "quiet")
    assert list(Bar(range(3), desc="embedding")) == [0, 1, 2]
    with (tmp_path / "log").open("w") as file:
        Screen(file, lines=1).announce("[1/1] data ...")
    assert (tmp_path / "log").read_text() == ""
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = log(monkeypatch)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    assert progress_mode() == "bar"
    assert list(Bar(range(3), desc="embedding", file=stream)) == [0, 1, 2]
    assert "\r" in stream.getvalue()
