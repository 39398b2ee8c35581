from __future__ import annotations

from pathlib import Path

import pytest
from cyclopts import App

from device_tests import commands
from device_tests.targets.emulated import setup as phone_setup
from hetero.errors import InputError
from hetero.files import read_json
from hetero.pipeline.commands.report import report_command
from tests.device_tests.tiny_bundle import write_bundle


@pytest.fixture
def app() -> App:
    made = App(result_action="return_value")
    made.command(commands.verify_command, name="verify")
    made.command(report_command, name="report")
    made.command(commands.device_list_command, name="list")
    made.command(commands.device_setup_command, name="setup")
    return made


def test_verify_and_its_gates(app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    call = ["verify", str(bundle), "--target", "desktop", "--out", str(tmp_path / "out")]
    assert app(call) == 0
    said = capsys.readouterr().out
    assert "The files reproduce the student: PASS (15 pass, 0 fail, 0 not verified, 0 n/a)" in said
    assert "The student is good enough for this gallery: NOT JUDGED (tiny: cmc@1 0.354" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "verdict.json", "summary.json", "junit.xml", "report.html", "embeddings", "resizers.json", "summary.md",
    }  # fmt: skip
    assert app([*call, "--floor", "0.999"]) == 1
    assert app([*call, "--require", "coreml"]) == 0


def test_verify_judges_the_student_where_it_is_asked_to(app: App, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",), useless=True)
    call = ["verify", str(bundle), "--out", str(tmp_path / "out")]
    assert app(call) == 0
    assert app([*call, "--policy", "release"]) == 1
    assert app([*call, "--share", "0.5"]) == 1
    with pytest.raises(InputError, match="expected a policy, release or a TOML file, found no strict"):
        app([*call, "--policy", "strict"])
    with pytest.raises(InputError, match="share: expected a number between 0 and 1"):
        app([*call, "--share", "1"])


def test_help_has_an_example(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("verify", "report", "list", "setup"):
        app([command, "--help"])
        assert "Example: hetero" in capsys.readouterr().out


def test_report_of_a_run(app: App, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundles" / "tiny" / "bundle")
    app(["verify", str(bundle), "--out", str(tmp_path / "verification")])
    assert app(["report", str(tmp_path)]) == 0
    assert "Is the student good enough?" in (tmp_path / "report.html").read_text()


def test_report_without_a_run(app: App, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"verdict\.json"):
        report_command(tmp_path)


def test_list_where_the_phone_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise InputError("the emulated phone cannot be had on this machine:", ["it needs Linux; this is darwin"])

    monkeypatch.setattr(phone_setup, "detect", refuse)
    assert commands.device_list_command() == 0
    printed = capsys.readouterr().out
    assert "desktop: this machine" in printed
    assert "this is darwin" in printed


def test_setup_of_an_unknown_target() -> None:
    with pytest.raises(InputError, match="no target 'toaster'"):
        commands.device_setup_command("toaster")


def test_the_verdict_of_a_phone_that_cannot_be_had(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise InputError("the emulated phone cannot be had on this machine:", ["it needs Linux; this is darwin"])

    monkeypatch.setattr(phone_setup, "detect", refuse)
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    targets = ["--target", "desktop", "--target", "phone-arm64"]
    assert app(["verify", str(bundle), *targets, "--out", str(tmp_path / "out")]) == 3
    rows = read_json(tmp_path / "out" / "verdict.json")
    assert {(row["target"], row["status"]) for row in rows} == {("desktop", "pass"), ("phone-arm64", "not verified")}
