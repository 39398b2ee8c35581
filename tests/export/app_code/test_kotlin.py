"""The code for Android: all of it compiled against stubs of the runtimes, and all but the runtimes run on a JVM."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from export.app.contract import AppContract
from export.app_code.code import reference_code
from export.bundle.reading import Bundle
from tests.export.app_code.compiled import check_application, check_pixels, golden_cases, picture_cases, png_cases
from tests.export.app_code.debian_kotlin import compiled

_HERE = Path(__file__).parent / "kotlin"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(application: tuple[Path, AppContract, Bundle], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Everything that applications get, for either runtime, compiled once."""
    folder = tmp_path_factory.mktemp("kotlin")
    contract = application[1]
    files = {**reference_code(contract, "kotlin"), **reference_code(replace(contract, format="onnx"), "kotlin")}
    paths = list(_HERE.rglob("*.kt"))
    for name, text in files.items():
        if name.endswith(".kt"):
            paths.append(folder / "sources" / name)
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(text)
    return compiled(paths, folder / "classes")


def test_pixels_are_the_contracts_to_the_last_bit(
    program: list[str], application: tuple[Path, AppContract, Bundle], tmp_path: Path
) -> None:
    _, contract, bundle = application
    cases = picture_cases(contract, tmp_path) + golden_cases(contract, bundle, tmp_path)
    assert {job["orientation"] for _, job, _ in cases} == set(range(1, 9))
    check_pixels(program, cases, tmp_path)


def test_png_files_are_read_to_the_last_bit(
    program: list[str], application: tuple[Path, AppContract, Bundle], tmp_path: Path
) -> None:
    check_pixels(program, png_cases(application[1], tmp_path / "files"), tmp_path)


def test_an_application_finds_what_the_runtime_finds_here(
    program: list[str], application: tuple[Path, AppContract, Bundle]
) -> None:
    """Self-test, vectors, the ten nearest, the refusal of another space; a first engine fails and is passed over."""
    folder, contract, bundle = application
    check_application(program, contract, bundle, folder)


def test_bytes_are_scaled_as_the_contract_says(
    program: list[str], application: tuple[Path, AppContract, Bundle], tmp_path: Path
) -> None:
    contract = application[1]
    output = replace(contract.output, type="uint8", scale=1 / 128, zero_point=128)
    (tmp_path / "bytes.json").write_text(json.dumps(replace(contract, output=output).to_dict()))
    subprocess.run([*program, "scale", tmp_path], check=True)
    assert json.loads((tmp_path / "report.json").read_text()) == [(byte - 128) / 128 for byte in range(256)]
