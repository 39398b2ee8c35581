"""Help, completion and the options that every command takes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from benchmarks.every_command import names
from hetero.cli.main import BRIEF, GROUPS, main
from hetero.display.progress import VARIABLE


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_command_and_group_is_described_where_it_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    every = {name for name in names() if len(name) == 1} | {(group,) for group in GROUPS}
    listed = said(capsys, "--help")
    assert {name for (name,) in every} == {*BRIEF, *GROUPS}
    for (name,) in every:
        assert re.search(rf"│ {name} +\w", listed), name
    for group in GROUPS:
        listed = said(capsys, group, "--help")
        below = [name[1] for name in names() if name[0] == group]
        assert below and GROUPS[group][0] in listed
        for name in below:
            assert re.search(rf"│ {name} +\w", listed), (group, name)


def test_completion_knows_commands_and_their_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # the shell's start file is there
    script = tmp_path / "completion"
    said(capsys, "--install-completion", "--shell", "bash", "--output", str(script))
    text = script.read_text()
    for word in ("student", "retrieval", "--int8-goal", "--until"):
        assert word in text


@pytest.mark.parametrize("option", ["--quiet", "--plain"])
def test_how_progress_is_shown_may_be_said_anywhere(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "bar")
    said(capsys, "bundle", option, "--help")
    assert os.environ[VARIABLE] == option.removeprefix("--")
