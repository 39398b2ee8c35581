"""ExecuTorch: what a file says of itself, and, where it is installed, real conversions held against torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.checks.finding import RUNGS
from export import export_model
from export.bundle.reading import Bundle, read_bundle
from export.capture.source import from_directory
from export.formats import FORMATS
from export.formats.converter import package_problems
from export.formats.executorch import EXECUTORCH
from export.formats.executorch.description import METHOD, read_description
from export.kinds.format import SPACE_KEY
from hetero.files import read_json, sha256_file
from tests.export.test_export import PREPROCESSING, save_tiny, tiny_calibration, tiny_retrieval
from tests.export.test_hostile import MUTATIONS

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


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    pytest.importorskip("executorch.exir", reason="needs the extra executorch")
    folder = tmp_path_factory.mktemp("executorch")
    model = save_tiny(folder / "tiny")
    return read_bundle(
        export_model(
            model,
            tiny_retrieval(),
            folder / "bundle",
            formats=["executorch"],
            precisions=("fp32", "int8"),
            calibration=tiny_calibration(model),
            goldens=4,
        )
    )


@pytest.mark.slow
def test_the_files_are_the_model(bundle: Bundle) -> None:
    whole, small = bundle.manifest.models
    assert (whole.file, whole.checked, small.file, small.checked) == (
        "model.fp32.pte",
        "pass",
        "model.int8.pte",
        "pass",
    )
    assert whole.min_cosine > 1 - 1e-6 and small.min_cosine > 0.98
    assert set(whole.versions) == {"torch", "executorch", "torchao"}
    shape = (1, PREPROCESSING.height, PREPROCESSING.width, 3)
    assert {(model.input.type, model.input.shape) for model in bundle.manifest.models} == {("uint8", shape)}
    for model in bundle.manifest.models:
        described = read_description(bundle.file(model).read_bytes())
        assert described[SPACE_KEY] == bundle.manifest.space_id
    assert "Module.load(path)                            // model.fp32.pte" in (bundle.path / "README.md").read_text()


@pytest.mark.slow
def test_int8_is_chosen_by_retrieval_and_really_int8(bundle: Bundle) -> None:
    model = bundle.model("executorch", "int8")
    made = model.quantisation
    assert made is not None and made.evidence is not None
    assert (made.tried, made.evidence.queries, made.evidence.classes) == (8, 24, 12)
    assert model.size < bundle.model("executorch", "fp32").size
    # The search measured in torch what the runtime computes.
    assert made.evidence.chosen.loss.value == pytest.approx(model.calibration_loss, abs=0.02)


@pytest.mark.slow
def test_another_file_of_the_same_model_is_the_same(bundle: Bundle, tmp_path: Path) -> None:
    from export.capture.program import capture
    from export.conversion.graphs import with_neck_folded
    from export.formats.executorch.lowering import lowered

    source = from_directory(save_tiny(tmp_path / "tiny"))
    program = capture(with_neck_folded(source.module), source.example)
    (tmp_path / "again.pte").write_bytes(lowered(program, source.describe()))
    assert sha256_file(tmp_path / "again.pte") == bundle.model("executorch").sha256


@pytest.mark.slow
def test_verification(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from device_tests.commands import verify_command

    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    verify_command([bundle.path], out=tmp_path, require=["executorch"])
    rows: list[Any] = read_json(tmp_path / "verdict.json")
    assert {row["rung"] for row in rows} == set(RUNGS)
    assert {row["status"] for row in rows if row["rung"] in ("loads", "preprocessing", "parity")} == {"pass"}
    (loads,) = [row for row in rows if (row["rung"], row["precision"]) == ("loads", "fp32")]
    assert loads["figures"]["runtime"].startswith("executorch 1.")
    assert loads["figures"]["file_names_its_space"] is True


def test_without_the_runtime_nothing_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    from device_tests.runner import NOT_VERIFIED
    from device_tests.runtimes import executorch

    monkeypatch.setattr(executorch, "_INSTALLED", False)
    with (
        pytest.raises(executorch.NotInstalledError, match=r"pip install 'hetero\[executorch\]'") as told,
        executorch.ExecuTorch("model.pte", {}),
    ):
        pass
    assert told.value.exit_code == NOT_VERIFIED


@pytest.mark.slow
def test_changed_files_never_pass_wrongly(bundle: Bundle, tmp_path: Path) -> None:
    """The runtime may crash, but only in the process that it has to itself."""
    from device_tests.targets.desktop import Desktop
    from device_tests.targets.target import Request

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
