"""ExecuTorch: what a file says of itself, and, where it is installed, real conversions held against torch."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from device_tests.checks.finding import RUNGS
from device_tests.runner import NOT_VERIFIED
from device_tests.runtimes import executorch
from device_tests.targets.desktop import Desktop
from device_tests.targets.target import Request
from export import calibration_set, export_model
from export.bundle.reading import Bundle, read_bundle
from export.capture.program import capture
from export.capture.source import Source, from_module
from export.errors import ExportError
from export.formats import BUILT_IN, FORMATS
from export.formats.converter import package_problems
from export.formats.executorch import EXECUTORCH
from export.formats.executorch.description import METHOD, read_description
from export.kinds.format import SPACE_KEY
from export.kinds.precision import Precision
from export.kinds.registry import registered
from export.rewrites.operator_support import named_refusals
from hetero.files import read_json, sha256_file
from tests.device_tests.tiny_bundle import PREPROCESSING, SPACE, pictures
from tests.export.test_hostile import MUTATIONS
from tests.export.test_toy_format import MATRIX, tiny_retrieval
from tests.snippets import ROOT

CONTRACT = {SPACE_KEY: "abc", "hetero.model": "tiny"}


def program(description: str | None, *, method: str = METHOD, identifier: bytes = b"ET12") -> bytes:
    """A program as ``program.fbs`` lays it out, with a method that gives a text, or a number for None."""
    import flatbuffers

    builder = flatbuffers.Builder(256)

    def table(*fields: tuple[int, int]) -> int:
        builder.StartObject(3)
        for place, offset in fields:
            builder.PrependUOffsetTRelativeSlot(place, offset, 0)
        return builder.EndObject()

    def tables(*entries: int) -> int:
        builder.StartVector(4, len(entries), 4)
        for entry in reversed(entries):
            builder.PrependUOffsetTRelative(entry)
        return builder.EndVector()

    inner = table((0, builder.CreateString(description))) if description is not None else table()
    builder.StartObject(2)
    builder.PrependUint8Slot(0, 6 if description is not None else 2, 0)
    builder.PrependUOffsetTRelativeSlot(1, inner, 0)
    value = builder.EndObject()
    plans = [table((0, builder.CreateString(name)), (2, tables(value))) for name in ("forward", method)]
    builder.Finish(table((1, tables(*plans))), identifier)
    return bytes(builder.Output())


def test_a_file_says_what_it_is() -> None:
    assert read_description(program(json.dumps(CONTRACT))) == CONTRACT


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    assert read_description(program("{}", method="other")) == {}
    assert read_description(program("{}", identifier=b"TFL3")) == {}
    (tmp_path / "model.pte").write_bytes(b"")
    assert EXECUTORCH.read_space(tmp_path / "model.pte") == ""


@pytest.mark.parametrize("description", [None, "[1", '{"a": 1, "a": 2}'])
def test_a_description_that_is_none(description: str | None) -> None:
    with pytest.raises(ValueError, match="its description is no text|the method hetero"):
        read_description(program(description))


def test_a_damaged_file_ends_in_an_ordinary_error() -> None:
    content, rng = program(json.dumps(CONTRACT)), np.random.default_rng(0)
    for change in MUTATIONS * 40:
        try:
            described = read_description(change(content, rng))
        except Exception:  # which one does not matter
            continue
        assert set(map(type, described.values())) <= {str}


def test_it_is_made_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "executorch" not in FORMATS
    assert package_problems(["executorch"]) == [
        "format executorch: needs torch, executorch, torchao; install with: pip install 'hetero[executorch]'"
    ]


def tiny_model() -> Source:
    """A convolution for all channels and one for each, then a linear layer: untrained, on images of 6 x 6."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.Flatten(),
        nn.Linear(72, SPACE.dimension),
    )
    return from_module(network.eval(), PREPROCESSING, SPACE, name="tiny")


def test_every_format_has_an_extra_that_installs_it() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {format.extra for format in BUILT_IN} == {"export", "executorch"}
    assert {format.extra for format in BUILT_IN} <= about["project"]["optional-dependencies"].keys()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    pytest.importorskip("executorch.exir", reason="needs the extra executorch")
    source, (images, labels) = tiny_model(), pictures(seed=1)
    out = tmp_path_factory.mktemp("executorch") / "bundle"
    calibration = calibration_set(images, labels, source.embed(images), SPACE)
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    export_model(
        source, tiny_retrieval(), out, formats=["executorch"], precisions=precisions, calibration=calibration, goldens=8
    )
    return read_bundle(out)


@pytest.mark.slow
def test_the_files_are_the_model(bundle: Bundle) -> None:
    whole, small = bundle.manifest.models
    assert (whole.file, whole.checked, small.file, small.checked) == (
        "model.fp32.pte",
        "pass",
        "model.int8.pte",
        "pass",
    )
    assert whole.min_cosine is not None and whole.min_cosine > 1 - 1e-6
    assert small.min_cosine is not None and 0.99 < small.min_cosine < 1 - 1e-6
    assert set(whole.versions) == {"torch", "executorch", "torchao"}
    for model in bundle.manifest.models:
        assert (model.input.type, model.input.shape) == ("uint8", (1, 6, 6, 3))
        assert read_description(bundle.file(model).read_bytes())[SPACE_KEY] == bundle.manifest.space_id
    card = (bundle.path / "README.md").read_text()
    assert f"executorch-android:{whole.versions['executorch']}" in card
    assert "Module.load(path)                            // model.fp32.pte" in card


@pytest.mark.slow
def test_int8_is_chosen_by_retrieval(bundle: Bundle) -> None:
    made = bundle.model("executorch", "int8").quantisation
    assert made is not None and made.evidence is not None
    assert (made.tried, made.evidence.queries, made.evidence.classes) == (8, 48, 24)


@pytest.mark.slow
def test_the_same_model_gives_the_same_file(bundle: Bundle, tmp_path: Path) -> None:
    from export.formats.executorch.lowering import lowered

    source = tiny_model()
    (tmp_path / "again.pte").write_bytes(lowered(capture(source.module, source.example), source.describe()))
    assert sha256_file(tmp_path / "again.pte") == bundle.model("executorch").sha256


@pytest.mark.slow
def test_verification(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from device_tests.commands import verify_command

    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    verify_command([bundle.path], out=tmp_path, require=["executorch"])
    rows: list[Any] = read_json(tmp_path / "verdict.json")
    found = {(row["precision"], row["rung"]): row for row in rows}
    assert {rung: found["fp32", rung]["status"] for rung in RUNGS} == dict.fromkeys(RUNGS, "pass")
    assert "fail" not in {row["status"] for row in rows}
    assert found["fp32", "loads"]["figures"]["runtime"].startswith("executorch 1.")
    assert found["int8", "loads"]["figures"]["file_names_its_space"] is True


def test_without_the_runtime_nothing_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executorch, "_INSTALLED", False)
    with (
        pytest.raises(executorch.NotInstalledError, match=r"pip install 'hetero\[executorch\]'") as told,
        executorch.ExecuTorch("model.pte", {}),
    ):
        pass
    assert told.value.exit_code == NOT_VERIFIED


def test_the_version_of_an_engine_that_does_not_travel_is_told() -> None:
    here = dataclasses.replace(MATRIX.engines["desktop"], package="pytest")
    with registered(dataclasses.replace(MATRIX, engines={"desktop": here})):
        assert Desktop().describe()["pytest"] == pytest.__version__
    missing = dataclasses.replace(here, package="no-such-distribution")
    with registered(dataclasses.replace(MATRIX, engines={"desktop": missing})):
        assert "no-such-distribution" not in Desktop().describe()


@pytest.mark.slow
def test_changed_files_never_pass_wrongly(bundle: Bundle, tmp_path: Path) -> None:
    """The runtime may crash, but only in the process that it has to itself."""
    content, images = (bundle.path / "model.fp32.pte").read_bytes(), bundle.goldens.golden_images
    desktop, changed = Desktop(), tmp_path / "changed.pte"
    refused = 0
    try:
        for seed in range(12):
            rng = np.random.default_rng(seed)
            changed.write_bytes(MUTATIONS[seed % len(MUTATIONS)](content, rng))
            request = Request("fp32", "executorch", changed, images)
            returned = desktop.run(request, lambda _done, _total: None)
            refused += bool(returned.error)
            assert returned.error or returned.embeddings.shape == bundle.goldens.golden_embeddings.shape
    finally:
        desktop.close()
    assert refused > 2


class Operator(nn.Module):
    """One operator on an image's pixels."""

    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.operator(image.float().reshape(1, -1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operator", "name"),
    [(torch.erfc, "aten.erfc.default"), (lambda values: values.sort().values, "aten::sort.values")],
)
def test_an_operator_that_it_cannot_have_is_named(operator: Any, name: str) -> None:
    pytest.importorskip("executorch.exir", reason="needs the extra executorch")
    from export.formats.executorch.lowering import lowered
    from export.formats.executorch.rules import RULES

    program = capture(Operator(operator), torch.zeros(1, 6, 6, 3, dtype=torch.uint8))
    with (
        pytest.raises(ExportError, match=f"executorch cannot have an operator of the model: {re.escape(name)}"),
        named_refusals(RULES),
    ):
        lowered(program, CONTRACT)
