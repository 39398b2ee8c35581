"""``pytest device_tests`` as a team's CI runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device_tests.tiny_bundle import write_bundle

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "device_tests", "-p", "no:cacheprovider", *map(str, arguments)]
    # Plugins of this environment would take most of the time.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_test_for_every_rung(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    done = run("--bundle", bundle, "--target", "desktop", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 passed, 1 skipped" in done.stdout
    assert "test_student[tiny] SKIPPED" in done.stdout and "not judged: no policy says" in done.stdout
    assert "test_rung[tiny-desktop-litert-fp32-parity] PASSED" in done.stdout


def test_a_failing_rung_fails_and_a_required_format_that_is_missing_fails(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "coreml"), model_seed=5)
    done = run("--bundle", bundle, "--require", "coreml", "--require", "litert")
    assert done.returncode == 1
    assert "9 failed, 6 passed" in done.stdout
    assert "asked for, but not verified" in done.stdout


def test_a_useless_student_fails_where_a_policy_asks(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",), useless=True)
    done = run("--bundle", bundle, "--policy", "release")
    assert done.returncode == 1
    assert "1 failed, 5 passed" in done.stdout
    assert "at least 85.0 % must be shown" in done.stdout


def test_without_a_bundle_it_says_how() -> None:
    done = run()
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest device_tests --bundle PATH" in done.stdout + done.stderr


def test_a_damaged_bundle_is_bad_usage(tmp_path: Path) -> None:
    done = run("--bundle", tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is not a bundle" in done.stdout + done.stderr
