"""The part of a file that a phone's accelerator takes: tiny graphs by hand, the manifest, the card, the commands."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.bundle.accelerators import AcceleratorFit, Breaker, instead_in_words, left_in_words, taken_in_words
from export.bundle.reading import read_bundle
from export.bundle_commands import inspect_command
from export.conversion.card import model_card
from export.formats.litert import accelerators as litert
from export.formats.litert.gpu import Operand, refusal
from export.formats.onnx import accelerators as onnx_accelerators
from hetero.errors import IntegrityError
from hetero.files import read_json
from tests.device_tests.tiny_models import weights, write_litert
from tests.export.bundles import write_bundle

FLOAT = TensorProto.FLOAT
BROKEN = AcceleratorFit("nnapi", 2, 2, 3, (Breaker("HardSigmoid", 1, "not listed"),))


def chain(path: Path, *kinds: str, type: int = FLOAT, shape: tuple[int | str, ...] = (1, 3, 4, 4)) -> Path:
    """Operators of one input, one after the other; ``Clip 0 6`` has bounds."""
    nodes: list[Any] = []
    constants: dict[str, Any] = {}
    for place, kind in enumerate(kinds):
        name, *bounds = kind.split()
        inputs = [f"v{place}", *bounds]
        constants |= {bound: numpy_helper.from_array(np.array(bound, np.float32), bound) for bound in bounds}
        to: dict[str, Any] = {"to": FLOAT} if name == "Cast" else {}
        nodes.append(helper.make_node(name, inputs, [f"v{place + 1}"], **to))
    last = FLOAT if "Cast" in kinds else type
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("v0", type, shape)],
        [helper.make_tensor_value_info(f"v{len(kinds)}", last, shape)],
        [*constants.values()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def onnx_fit(path: Path, name: str) -> AcceleratorFit:
    return next(fit for fit in onnx_accelerators.fits(path) if fit.accelerator == name)


@pytest.mark.parametrize("name", ["coreml-ep", "nnapi"])
def test_operators_that_a_provider_lists_are_one_partition(tmp_path: Path, name: str) -> None:
    fit = onnx_fit(chain(tmp_path / "m.onnx", "Relu"), name)
    assert (fit.partitions, fit.taken, fit.operators, fit.breakers) == (1, 1, 1, ())
    assert fit.in_one_piece


def test_an_operator_in_the_middle_makes_two_partitions(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", "Relu", "HardSigmoid", "Relu")
    fit = onnx_fit(path, "nnapi")
    assert (fit.partitions, fit.taken, fit.operators) == (2, 2, 3)
    assert [(one.operator, one.count) for one in fit.breakers] == [("HardSigmoid", 1)]
    assert onnx_fit(path, "coreml-ep").in_one_piece


def test_hard_swish_counts_as_the_runtime_writes_it_out(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", "HardSwish")
    assert onnx_fit(path, "coreml-ep") == AcceleratorFit("coreml-ep", 1, 2, 2)
    assert [one.operator for one in onnx_fit(path, "nnapi").breakers] == ["HardSigmoid"]


@pytest.mark.parametrize(("clip", "taken"), [("Clip 0 6", 1), ("Clip -1 1", 1), ("Clip 0 1", 0), ("Clip 0", 0)])
def test_nnapi_clips_as_relu6_and_relu1_alone(tmp_path: Path, clip: str, taken: int) -> None:
    path = chain(tmp_path / "m.onnx", clip)
    assert onnx_fit(path, "nnapi").taken == taken
    assert onnx_fit(path, "coreml-ep").taken == 1


def test_bytes_stay_with_the_processor(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", "Cast", "Relu", type=TensorProto.UINT8)
    for name in ("coreml-ep", "nnapi"):
        fit = onnx_fit(path, name)
        assert (fit.partitions, fit.taken) == (1, 1)
        assert fit.breakers == (Breaker("Cast", 1, "its input is uint8"),)


def test_nnapi_takes_no_float16(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", "Relu", "Relu", type=TensorProto.FLOAT16)
    assert onnx_fit(path, "nnapi").breakers == (Breaker("Relu", 2, "its input is float16"),)
    assert onnx_fit(path, "coreml-ep").in_one_piece


def test_an_open_batch_is_taken_by_none(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", "Relu", shape=("batch", 3, 4, 4))
    assert [fit.partitions for fit in onnx_accelerators.fits(path)] == [0, 0]


def test_the_gpu_takes_neither_bytes_nor_what_its_table_does_not_list(tmp_path: Path) -> None:
    write_litert(tmp_path / "m.tflite", weights())  # cast, reshape, fully connected, L2 normalisation
    (fit,) = litert.fits(tmp_path / "m.tflite")
    assert (fit.partitions, fit.taken, fit.operators) == (1, 2, 4)
    assert [(one.operator, one.count) for one in fit.breakers] == [("CAST", 1), ("L2_NORMALIZATION", 1)]
    assert fit.breakers[0].reason == "its input is uint8"


@pytest.mark.parametrize(
    ("kind", "axes", "taken"),
    [
        ("MEAN", Operand("INT32", 1, constant=True), True),
        ("MEAN", Operand("INT32", 1, constant=False), False),
        ("SUM", Operand("INT64", 1, constant=True), False),
        ("UNIQUE", Operand("INT32", 1, constant=True), False),
    ],
)
def test_the_gpu_reduces_over_constant_axes(kind: str, axes: Operand, taken: bool) -> None:
    value = Operand("FLOAT32", 4, constant=False)
    assert (refusal(kind, [value, axes], [value]) == "") is taken


def test_branches_join_one_partition() -> None:
    def operator(inputs: list[int], output: int) -> Any:
        return SimpleNamespace(inputs=inputs, outputs=[output])

    # 0 -> a -> 1, 0 -> (left) -> 2, 1 and 2 -> b: the branch that is left does not divide a from a second branch.
    operators = [operator([0], 1), operator([0], 2), operator([1], 3), operator([2, 3], 4)]
    assert litert.partitions(operators, [True, False, True, True]) == 2
    assert litert.partitions(operators, [True, True, True, True]) == 1
    assert litert.partitions(operators, [False] * 4) == 0


def with_fit(path: Path, fit: dict[str, Any]) -> Path:
    """A bundle whose ONNX file has a fit."""
    write_bundle(path)
    manifest: dict[str, Any] = read_json(path / "manifest.json")
    manifest["models"][0]["accelerators"] = [fit]
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def test_the_manifest_keeps_the_fit(tmp_path: Path) -> None:
    bundle = read_bundle(with_fit(tmp_path / "bundle", dataclasses.asdict(BROKEN)))
    assert bundle.manifest.models[0].accelerators == (BROKEN,)


def test_an_older_manifest_has_none(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "bundle")
    manifest: dict[str, Any] = read_json(path / "manifest.json")
    for model in manifest["models"]:
        del model["accelerators"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert [model.accelerators for model in read_bundle(path).manifest.models] == [(), ()]


@pytest.mark.parametrize("change", [{"taken": 4}, {"partitions": 3}, {"partitions": -1}, {"accelerator": "abacus"}])
def test_an_impossible_fit_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = with_fit(tmp_path / "bundle", dataclasses.asdict(BROKEN) | change)
    with pytest.raises(IntegrityError, match="nnapi cannot take that much of it|accelerators"):
        read_bundle(path)


def test_in_words() -> None:
    assert taken_in_words(BROKEN) == "2 partitions, 2 of 3 operators (66.7%)"
    assert left_in_words(BROKEN) == "1 HardSigmoid (not listed)"
    assert "LiteRT in fp16" in instead_in_words(BROKEN)
    assert instead_in_words(AcceleratorFit("nnapi", 1, 3, 3)) == ""
    assert taken_in_words(AcceleratorFit("nnapi", 0, 0, 3)) == "nothing"


def test_the_card_shows_it_and_what_is_not_known(tmp_path: Path) -> None:
    bundle = read_bundle(with_fit(tmp_path / "bundle", dataclasses.asdict(BROKEN)))
    card = model_card(bundle.manifest, bundle.space, bundle.preprocessing)
    (line,) = [line for line in card.splitlines() if "NNAPI provider" in line]
    assert "2 partitions, 2 of 3 operators (66.7%) | 1 HardSigmoid (not listed)" in line
    (core_ml,) = [line for line in card.splitlines() if "can tell" in line and "model.fp32.mlpackage" in line]
    assert "**not verified**" in core_ml


def test_inspect_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect_command(with_fit(tmp_path / "bundle", dataclasses.asdict(BROKEN)))
    printed = capsys.readouterr().out
    assert "nnapi      2 partitions, 2 of 3 operators (66.7%); not 1 HardSigmoid (not listed)" in printed
    assert "GPU, NPU   not verified" in printed
