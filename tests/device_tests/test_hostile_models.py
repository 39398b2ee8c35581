"""Model files changed at random, in a bundle whose manifest was made to fit: the worst that a stranger can send.

A runtime may crash, but only in the process that it has to itself; and nothing passes that does not embed as it should.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from device_tests.checks.gates import Gates
from device_tests.ladder.climb import check_model, run_model
from device_tests.targets.desktop import Desktop
from export.bundle.reading import read_bundle
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import list_files, write_bundle
from tests.export.test_hostile import MUTATIONS

HARMLESS = 1 - 1e-4
MANY = int(os.environ.get("HETERO_MUTATED_MODELS", "100"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("hostile") / "bundle")


def mutate_model(bundle: Path, rng: np.random.Generator) -> str:
    """Change one model file, and list it as if it had always been so; returns the format."""
    suffix = (".onnx", ".tflite", ".mlpackage")[int(rng.integers(3))]
    root = next(bundle.glob(f"model.fp32{suffix}"))
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    content = path.read_bytes()
    path.write_bytes(MUTATIONS[int(rng.integers(len(MUTATIONS)))](content, rng) if content else b"x")
    list_files(bundle)
    return {".onnx": "onnx", ".tflite": "litert", ".mlpackage": "coreml"}[suffix]


def require_no_wrong_pass(bundle: Path, folder: Path, seeds: range) -> int:
    """Returns how many of the changed files did not pass."""
    target, stopped = Desktop(), 0
    for seed in seeds:
        copy = folder / "copy"
        shutil.copytree(bundle, copy)
        try:
            format = mutate_model(copy, np.random.default_rng(seed))
            opened = read_bundle(copy)
            (entry,) = [model for model in opened.manifest.models if model.format == format]
            returned = run_model(opened, entry, target)
            findings = check_model(opened, entry, returned, Gates())
        except InputError:
            stopped += 1
            continue
        finally:
            shutil.rmtree(copy)
        if any(finding.status != "pass" for finding in findings):
            stopped += 1
            continue
        assert returned.embeddings is not None
        cosines = (returned.embeddings[: len(opened.goldens.golden_images)] * opened.goldens.golden_embeddings).sum(
            axis=1
        )
        assert cosines.min() > HARMLESS, f"seed {seed}: {format} passed and embeds something else"
    return stopped


def test_mutated_models_never_pass_wrongly(bundle: Path, tmp_path: Path) -> None:
    assert require_no_wrong_pass(bundle, tmp_path, range(6)) > 0


@pytest.mark.slow
def test_many_mutated_models_never_pass_wrongly(bundle: Path, tmp_path: Path) -> None:
    assert require_no_wrong_pass(bundle, tmp_path, range(5000, 5000 + MANY)) > 0.3 * MANY
