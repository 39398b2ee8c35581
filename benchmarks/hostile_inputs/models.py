"""Hostile model files in bundles that list them: handed to the real runners, each in a process of its own.

A file that passes must embed the golden images and the queries as the original does, by numpy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile_inputs import graphs
from benchmarks.hostile_inputs.bundles import HARMLESS
from benchmarks.hostile_inputs.changes import change_bytes, change_json
from benchmarks.hostile_inputs.trial import Answer, Attempt
from device_tests import Gates
from device_tests.answers.handed import handed
from device_tests.ladder.climb import check_model, request
from device_tests.runtimes.coreml import load as load_coreml
from device_tests.targets.desktop import Desktop
from device_tests.targets.job import clean_environment
from device_tests.targets.process import LocalRunner
from export import read_bundle
from hetero.processes import children
from tests.device_tests.tiny_bundle import list_files, write_bundle
from tests.device_tests.tiny_models import embed, weights
from tests.fuzz.seeds import COREML_MODEL, COREML_WEIGHTS, PICTURE

RUNNER_SECONDS = 5.0
"""Without progress, after which a model is given up here; 600 where nobody is in a hurry."""
_NOT_ASKED = "preprocessing"
"""No picture is decoded: the pictures are not what is hostile here."""
Mutate = Callable[[Path, random.Random], None]


def onnx(folder: Path) -> contextlib.AbstractContextManager[Attempt]:
    """ONNX files for ONNX Runtime."""
    return _runner_attempts(folder, "onnx", _onnx)


def litert(folder: Path) -> contextlib.AbstractContextManager[Attempt]:
    """LiteRT files for LiteRT."""
    return _runner_attempts(folder, "litert", _litert)


@contextlib.contextmanager
def coreml(folder: Path) -> Generator[Attempt]:
    """Core ML packages: every fourth for the runner, the others for its reader in this process, which hides nothing."""
    from tests.device_tests.tiny_models import write_coreml

    matrix, package = weights(), folder / "m.mlpackage"

    def attempt(number: int) -> tuple[Answer, str]:
        if number % 4 == 0:
            return by_runner(number)
        chance = random.Random(number)
        shutil.rmtree(package, ignore_errors=True)
        write_coreml(package, matrix)
        _coreml(package, chance)
        (folder / "outside").unlink(missing_ok=True)
        if chance.randrange(15) == 0:
            _link_out(package, folder, chance)
        made = next(iter(load_coreml(package).predict({"image": PICTURE}).values()))
        expected = embed(PICTURE, matrix)
        # Other weights are weights, too, which only a digest could tell.
        same = matrix.tobytes() in (package / COREML_WEIGHTS).read_bytes()
        right = np.allclose(made, expected, atol=1e-5) if same else made.shape == expected.shape
        return ("right", "") if right else ("wrong", f"computed {made}")

    with _runner_attempts(folder, "coreml", _coreml) as by_runner:
        yield attempt


@contextlib.contextmanager
def _runner_attempts(folder: Path, format: str, mutate: Mutate) -> Generator[Attempt]:
    sound = write_bundle(folder / "sound", formats=(format,), with_originals=False)
    desktop = _Impatient()
    truth = weights()

    def attempt(number: int) -> tuple[Answer, str]:
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(sound, copy)
        mutate(next(copy.glob("model.*")), random.Random(number))
        list_files(copy)
        bundle = read_bundle(copy)
        (entry,) = bundle.manifest.models
        asked = dataclasses.replace(request(bundle, entry, desktop), originals=())
        with handed(asked, bundle) as given:
            returned = desktop.run(given, lambda _done, _total: None)
        findings = check_model(bundle, entry, returned, Gates())
        if any(finding.status != "pass" for finding in findings if finding.rung != _NOT_ASKED):
            return "refused", ""
        assert returned.embeddings is not None
        cosines = (returned.embeddings * embed(asked.images, truth)).sum(axis=1)
        return ("right", "") if cosines.min() > HARMLESS else ("wrong", f"passed with a cosine of {cosines.min()}")

    yield attempt
    desktop.close()


class _Impatient(Desktop):
    """This machine, where a model is given up sooner."""

    def __init__(self) -> None:
        super().__init__()
        self._runner, self._own = (
            LocalRunner(
                children.python("-s"),
                clean_environment(**variables),
                emulated=False,
                silence_limit=RUNNER_SECONDS,
                total_limit=4 * RUNNER_SECONDS,
            )
            for variables in ({}, {"PYTHONPATH": str(Path(__file__).resolve().parents[2])})
        )


def _onnx(path: Path, chance: random.Random) -> None:
    if chance.randrange(2):
        path.write_bytes(change_bytes(path.read_bytes(), chance))
    else:
        graphs.change_onnx(path, chance)


def _litert(path: Path, chance: random.Random) -> None:
    if chance.randrange(2):
        path.write_bytes(change_bytes(path.read_bytes(), chance))
    else:
        graphs.change_litert(path, chance)


def _coreml(package: Path, chance: random.Random) -> None:
    kind = chance.randrange(6)
    if kind <= 2:
        path = package / chance.choice((COREML_MODEL, COREML_WEIGHTS, "Manifest.json"))
        path.write_bytes(change_bytes(path.read_bytes(), chance))
    elif kind == 3:
        path = package / "Manifest.json"
        path.write_bytes(change_json(path.read_bytes(), chance))
    else:
        graphs.change_coreml(package / COREML_MODEL, chance)


def _link_out(package: Path, folder: Path, chance: random.Random) -> None:
    path: Any = package / chance.choice((COREML_MODEL, COREML_WEIGHTS))
    shutil.move(path, folder / "outside")
    path.symlink_to(folder / "outside")
