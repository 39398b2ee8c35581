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
_STUBS = ("CoreVideo", "CoreML", "USearch")
_FRAMEWORKS = {"HeteroModel.swift", "optional/CarriedGallery.swift", "optional/UsearchNearest.swift"}
_IMAGES = {"Images.swift"}
"""Bridges to Core Foundation, which no stub can stand for."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sources(application: tuple[Path, AppContract, Bundle], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What applications get, by name."""
    folder = tmp_path_factory.mktemp("sources")
    files = reference_code(replace(application[1], format="coreml"), "swift")
    paths = {name: folder / name for name in files if name.endswith(".swift")}
    for name, path in paths.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[name])
    return paths


@pytest.fixture(scope="module")
def program(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Everything that needs no framework, compiled once."""
    made = tmp_path_factory.mktemp("swift") / "program"
    plain = [path for name, path in sources.items() if name not in _FRAMEWORKS | _IMAGES]
    swiftc("-O", "-o", made, _HERE / "main.swift", *plain)
    return [str(made)]


def swiftc(*arguments: str | Path) -> None:
    compiler = shutil.which("swiftc")
    if compiler is None:
        pytest.skip("needs a Swift compiler, found none")
    done = subprocess.run([compiler, "-swift-version", "5", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_rest_fits_the_frameworks_signatures(sources: dict[str, Path], tmp_path: Path) -> None:
    for name in _STUBS:
        module = ("-emit-module", "-module-name", name, "-I", tmp_path, "-o", tmp_path / f"{name}.swiftmodule")
        swiftc(*module, _HERE / "stubs" / f"{name}.swift")
    swiftc("-typecheck", "-I", tmp_path, *(path for name, path in sources.items() if name not in _IMAGES))


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
