"""The code for iOS, as far as it needs no Apple framework: compiled and run where there is a Swift compiler."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from export.app.contract import AppContract
from export.app_code.code import reference_code
from export.bundle.reading import Bundle
from tests.export.app_code.compiled import check_application, check_pixels, golden_cases, picture_cases

_HERE = Path(__file__).parent / "swift"
_APPLE = {"HeteroModel.swift", "Images.swift", "optional/UsearchNearest.swift"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(application: tuple[Path, AppContract, Bundle], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    compiler = shutil.which("swiftc")
    if compiler is None:
        pytest.skip("needs a Swift compiler, found none")
    folder = tmp_path_factory.mktemp("swift")
    sources: list[Path] = []
    for name, text in reference_code(replace(application[1], format="coreml"), "swift").items():
        if name.endswith(".swift") and name not in _APPLE:
            sources.append(folder / name)
            sources[-1].write_text(text)
    command = [compiler, "-O", "-swift-version", "5", "-o", folder / "program", _HERE / "main.swift", *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [str(folder / "program")]


def test_pixels_are_the_contracts_to_the_last_bit(
    program: list[str], application: tuple[Path, AppContract, Bundle], tmp_path: Path
) -> None:
    """Opaque pictures: Core Graphics puts the others on their ground."""
    _, contract, bundle = application
    golden = [case for case in golden_cases(contract, bundle, tmp_path) if "transparent" not in case[0]]
    check_pixels(program, picture_cases(contract, tmp_path) + golden, tmp_path)


def test_an_application_finds_what_the_runtime_finds_here(
    program: list[str], application: tuple[Path, AppContract, Bundle]
) -> None:
    """Self-test, vectors, the ten nearest, and the refusal of another space, with images that are decoded already."""
    folder, contract, bundle = application
    for path in [*(folder / "queries").glob("*.png"), *(folder / case.image for case in contract.self_test)]:
        with Image.open(path) as image:
            size = bytes(image.size)
            path.with_suffix(".raw").write_bytes(size + image.convert("RGBA").tobytes())
    check_application(program, contract, bundle, folder)
