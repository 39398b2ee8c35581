from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cyclopts import App

from export.bundle_commands import check_command, diff_command, inspect_command, key_command, verify_command
from export.commands import export_command
from hetero.cli.main import main
from tests.export.bundles import retrieval_set, write_bundle


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_check_prints_what_is_inside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bundle", "check", write_bundle(tmp_path / "bundle")) == 0
    printed = capsys.readouterr().out
    assert "sound, 7 files" in printed
    assert "task       'a>b': 3 in 3" in printed
    assert "at export: not verified" in printed


def test_check_of_a_flipped_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    content = bytearray((bundle / "goldens.safetensors").read_bytes())
    content[-1] ^= 1
    (bundle / "goldens.safetensors").write_bytes(content)
    assert run("bundle", "check", bundle) == 2
    printed = capsys.readouterr().err
    assert "goldens.safetensors: expected sha256" in printed
    assert "Traceback" not in printed


def test_export_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", tmp_path, tmp_path / "none.safetensors", tmp_path / "out") == 2
    assert "expected a safetensors file" in capsys.readouterr().err
    retrieval_set().save(tmp_path / "set.safetensors")
    assert run("export", tmp_path, tmp_path / "set.safetensors", tmp_path / "out", "--formats", "onnx", "litert") == 2
    assert "expected a model directory" in capsys.readouterr().err
    assert run("export", tmp_path, tmp_path / "set.safetensors", tmp_path / "out", "--formats", "caffe") == 2


@pytest.mark.parametrize(
    "command", [export_command, check_command, verify_command, inspect_command, diff_command, key_command]
)
def test_help_has_an_example(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    App(name="hetero", help_format="plaintext", default_command=command)(["--help"], result_action="return_value")
    assert "Example: hetero " in capsys.readouterr().out
