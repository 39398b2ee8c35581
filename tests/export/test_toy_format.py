"""A format of one's own, in this one file: exported, described, verified and reported without an edit elsewhere.

The file is at once what somebody else's package would hold: the record, the converter that it names by import string,
and the engine. A converter's process finds the record by the entry point that such a package declares.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.checks.finding import RUNGS
from device_tests.checks.gates import Gates
from export.bundle.goldens import RetrievalSet
from export.bundle.reading import Bundle, read_bundle
from export.formats import BUILT_IN
from export.formats.converter import ConversionJob
from export.kinds.format import SPACE_KEY, Engine, Format
from export.kinds.interface import INPUT, OUTPUT, TensorEntry
from export.kinds.precision import Offer
from export.kinds.registry import GROUP, names, register, registered
from export.precision.table import selection_problems
from hetero.errors import InputError, IntegrityError
from hetero.files import read_json
from tests.device_tests.tiny_bundle import PREPROCESSING, SPACE, goldens
from tests.device_tests.tiny_models import HEIGHT, WIDTH, embed, weights


def read_metadata(path: Path) -> dict[str, str]:
    with np.load(path, allow_pickle=False) as held:
        return json.loads(str(held["metadata"]))


MATRIX = Format(
    name="matrix",
    title="Matrix",
    platforms="numpy: wherever it is",
    suffix=".npz",
    converter="tests.export.test_toy_format",
    packages=("numpy",),
    precisions={"fp32": Offer("one matrix in float32", "numpy 1", 1e-4, 1 - 1e-6)},
    engines={"desktop": Engine("numpy-matrix", "tests.export.test_toy_format:MatrixEngine")},
    card='## Anywhere\n\n```python\nheld = numpy.load("{{ file }}")  # gives {{ space.dimension }} numbers\n```\n',
    read_space=lambda path: read_metadata(path)[SPACE_KEY],
)


def prepare(program: Any, job: ConversionJob) -> tuple[Any, ConversionJob]:
    (matrix,) = program.parameters()
    return matrix.detach().numpy(), job


def write(prepared: tuple[Any, ConversionJob], precision: str, out: Path) -> None:
    matrix, job = prepared
    np.savez(out, matrix=matrix, shape=(job.height, job.width, 3), metadata=json.dumps(dict(job.metadata)))


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    with np.load(path, allow_pickle=False) as held:
        shape, dimension = tuple(map(int, held["shape"])), len(held["matrix"])
    return TensorEntry(INPUT, "uint8", (1, *shape)), TensorEntry(OUTPUT, "float32", (1, dimension))


def run(path: Path, images: Any) -> Any:
    with np.load(path, allow_pickle=False) as held:
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1) / np.float32(255)
        vectors = planes @ held["matrix"].T
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class MatrixEngine:
    modules = ("numpy",)

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._model = Path(model)
        self.version, self.tensors = np.__version__, list[list[Any]]()

    def __enter__(self) -> MatrixEngine:
        self.tensors = [[one.name, one.type, one.scale, one.zero_point] for one in read_signature(self._model)]
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(self, images: Any) -> Any:
        return run(self._model, images)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installed package declares, for the processes that convert."""
    about = tmp_path / "installed" / "matrix-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: matrix\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\nmatrix = {MATRIX.converter}:MATRIX\n")
    monkeypatch.setenv("PYTHONPATH", str(about.parent))
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))


def tiny_model() -> Any:
    """The linear model of the tiny bundle, in torch, whose maps have their channels first."""
    import torch

    from export.capture.source import from_module

    linear = torch.nn.Linear(weights().shape[0], SPACE.dimension, bias=False)
    planes = weights().reshape(HEIGHT, WIDTH, 3, -1).transpose(3, 2, 0, 1)
    linear.weight.data = torch.from_numpy(planes.reshape(SPACE.dimension, -1).copy())
    return from_module(torch.nn.Sequential(torch.nn.Flatten(), linear), PREPROCESSING, SPACE, name="tiny")


def tiny_retrieval() -> RetrievalSet:
    held = goldens()
    names = tuple(f"image {row}" for row in range(len(held.retrieval_images)))
    images, labels = held.retrieval_images, held.retrieval_labels
    return RetrievalSet(images, labels, held.retrieval_cloud, held.tasks, names=names, space=SPACE)


def exported(out: Path) -> Path:
    from export.api import export_model

    return export_model(tiny_model(), tiny_retrieval(), out, formats=["matrix"], goldens=8, images="drawn,\nno persons")


def require_what_an_app_gets(bundle: Bundle) -> None:
    """The manifest counts the images and recommends a file; the self-test's vectors are those of its images."""
    import io

    from PIL import Image

    from export.app.self_test import self_tests
    from export.bundle.manifest import ImagesEntry
    from hetero.data.decoding.decode import resized

    count = len(bundle.goldens.retrieval_images)
    assert bundle.manifest.images == ImagesEntry(count, originals=0, self_test=3, origin="drawn, no persons")
    assert [(one.file, one.precision) for one in bundle.manifest.recommended] == [("model.fp32.npz", "fp32")]
    assert len(bundle.goldens.golden_tensors) == 2
    for test in self_tests(bundle):
        prepared = resized(Image.open(io.BytesIO(test.png)), bundle.preprocessing)
        assert np.abs(embed(prepared[None], weights())[0] - np.frombuffer(test.vector, "<f4")).max() < 1e-5


@pytest.mark.usefixtures("installed")
def test_from_the_model_to_the_report(tmp_path: Path) -> None:
    from device_tests.commands import verify_command

    with registered(MATRIX):
        path = exported(tmp_path / "bundle")
        bundle = read_bundle(path)
        out = tmp_path / "verification"
        status = verify_command([path], out=out, require=["matrix"])

    (model,) = bundle.manifest.models
    assert (model.format, model.file, model.checked) == ("matrix", "model.fp32.npz", "pass")
    assert model.versions == {"numpy": np.__version__}
    assert np.abs(bundle.goldens.golden_embeddings - embed(bundle.goldens.golden_images, weights())).max() < 1e-5
    require_what_an_app_gets(bundle)
    card = (path / "README.md").read_text()
    assert "for the self-test of an application; origin: drawn, no persons." in card
    assert '## Anywhere\n\n```python\nheld = numpy.load("model.fp32.npz")  # gives 8 numbers\n```\n' in card
    assert "| numpy: wherever it is | `model.fp32.npz` | fp32 | numpy 1 |" in card
    assert "Kotlin" not in card

    assert status == 0
    rows = {row["rung"]: row for row in read_json(out / "verdict.json")}
    assert {rung: row["status"] for rung, row in rows.items()} == dict.fromkeys(RUNGS, "pass")
    assert rows["loads"]["figures"]["runtime"] == f"numpy-matrix {np.__version__}"
    assert rows["loads"]["figures"]["file_names_its_space"] is True
    assert "desktop (Matrix)" in (out / "report.html").read_text()

    # Where nobody knows the format, the bundle is refused by name.
    with pytest.raises(
        IntegrityError, match=r"models.0.format: Input should be 'onnx', 'litert', 'coreml' or 'executorch'; got 'ma"
    ):
        read_bundle(path)


def test_it_is_there_only_where_it_is_added() -> None:
    built_in = tuple(format.name for format in BUILT_IN)
    with registered(MATRIX):
        assert names() == (*built_in, "matrix")
        assert selection_problems(["matrix"], ["fp32"]) == []
        assert selection_problems(["matrix"], ["int8"]) == [
            "precision int8: matrix refuses it: Matrix does not take it"
        ]
        assert Gates(require=("matrix",)).require == ("matrix",)
        with pytest.raises(InputError, match="there is a format 'matrix' already"):
            register(MATRIX)
    assert names() == built_in
    assert selection_problems(["matrix"], ["fp32"]) == [
        "format 'matrix': expected one of onnx, litert, coreml, executorch"
    ]
    with pytest.raises(InputError, match="require: unknown format 'matrix'; expected onnx, litert, coreml, executorch"):
        Gates(require=("matrix",))


def test_an_engine_has_one_format() -> None:
    borrowed = dataclasses.replace(MATRIX, engines={"desktop": Engine("onnxruntime")})
    with pytest.raises(InputError, match="format matrix: another format has an engine called onnxruntime"):
        register(borrowed)


def test_an_engine_that_cannot_travel_is_refused() -> None:
    wide = dataclasses.replace(MATRIX, engines={"phone": MATRIX.engines["desktop"]})
    with pytest.raises(InputError, match="format matrix: packages do not travel to a phone, nor engines in them"):
        register(wide)
