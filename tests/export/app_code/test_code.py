"""What an application gets: the files for its model's format, and a word on those that no code runs."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from export.app.contract import AppContract, contract_of
from export.app_code.code import LANGUAGES, reference_code
from export.bundle.reading import read_bundle
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import write_bundle

RUNS = [("kotlin", "litert"), ("kotlin", "onnx"), ("swift", "coreml"), ("javascript", "onnx"), ("javascript", "litert")]


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> AppContract:
    bundle = read_bundle(write_bundle(tmp_path_factory.mktemp("app") / "bundle", formats=("onnx",)))
    return contract_of(bundle, bundle.manifest.models[0])


@pytest.mark.parametrize(("language", "format"), RUNS)
def test_the_guide_names_every_file(contract: AppContract, language: str, format: str) -> None:
    files = reference_code(dataclasses.replace(contract, format=format), language)  # type: ignore[arg-type]
    guide = files["README.md"]
    missing = {name for name in files if f"`{name}`" not in guide and name != "README.md"}
    assert missing == set()
    named = set(re.findall(r"`((?:optional/)?\w+\.(?:kt|swift|mjs))`", guide))
    assert named <= set(files)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_format_that_the_code_does_not_run_is_refused(contract: AppContract, language: str) -> None:
    runs = {format for name, format in RUNS if name == language}
    other = "coreml" if "coreml" not in runs else "onnx"
    with pytest.raises(InputError, match=f"this contract is of {other}"):
        reference_code(dataclasses.replace(contract, format=other), language)  # type: ignore[arg-type]


def test_a_page_gets_the_runtime_that_was_tested(contract: AppContract) -> None:
    package = json.loads(reference_code(contract, "javascript")["package.json"])
    assert list(package["dependencies"]) == ["onnxruntime-web"]
    assert re.fullmatch(r"[0-9.]+", package["dependencies"]["onnxruntime-web"])


def test_every_module_that_is_imported_is_there(contract: AppContract) -> None:
    files = reference_code(contract, "javascript")
    imported = {name for text in files.values() for name in re.findall(r"from '\./([^']+)'", text)}
    assert "engine.mjs" in imported
    assert imported <= set(files)


def test_the_versions_are_those_that_checked_the_file(contract: AppContract) -> None:
    guide = reference_code(dataclasses.replace(contract, versions={"onnxruntime": "9.8.7"}), "kotlin")["README.md"]
    assert "onnxruntime-android:9.8.7" in guide


def test_the_sources_are_in_the_wheel() -> None:
    """Every suffix below the folder of the code is package data."""
    import tomllib

    root = Path(__file__).parents[3]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    suffixes = {path.suffix for path in (root / "export" / "app_code").rglob("*") if path.is_file()}
    missing = {suffix for suffix in suffixes - {".py", ".pyc"} if not any(p.endswith(suffix) for p in patterns)}
    assert missing == set()
