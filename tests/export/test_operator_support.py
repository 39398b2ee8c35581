"""Operators that converters get wrong are written out or refused by name: nothing is converted to something else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.operator_catalogue import SHAPE, catalogue
from benchmarks.operator_reference import SIDE, Reference, decoded, images
from benchmarks.operator_table import PRECISIONS, RULES, faults, read, support
from device_tests.runtimes.coreml import load
from export.capture.program import capture
from export.errors import ExportError
from export.formats import FORMATS
from export.formats.converter import ConversionJob
from export.formats.coreml import convert as coreml
from export.formats.onnx import convert as onnx
from export.kinds.precision import Precision
from export.rewrites import rewritten
from export.rewrites.operator_support import convertible, named_refusals

EXAMPLE = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
JOB = ConversionJob({"hetero.version": "0", "hetero.model": "net"}, SIDE, SIDE, {}, None)
PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


@cache
def reference() -> Reference:
    return Reference(catalogue())


class Net(nn.Module):
    """An operator on an image's feature map."""

    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, image: Tensor) -> Tensor:
        values = image.reshape(1, SIDE * SIDE, 3).float()
        return self.operator(decoded(values[..., 0], values[..., 1], values[..., 2])).reshape(1, -1)


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_out_is_the_same_in_torch(format: str) -> None:
    program = reference().program
    other: Any = rewritten(program, RULES[format].rewrites).module()
    names = {name for name, cell in support(reference(), format).items() if cell.state == "rewritten"}
    assert names
    sizes = [operator(torch.zeros(SHAPE)).numel() for operator in catalogue().values()]
    for place, (kind, image) in enumerate(images().items()):
        with torch.no_grad():
            parts = other(torch.from_numpy(image[None]))
        for name, part in zip(catalogue(), parts[0].split(sizes), strict=True):
            expected = reference().single[name][place]
            finite = np.isfinite(expected)
            assert np.array_equal(part.numpy()[~finite], expected[~finite], equal_nan=True), (name, kind)
            error = np.abs(part.numpy()[finite] - expected[finite]).max(initial=0)
            assert error <= 1e-5 * np.abs(expected[finite]).max(initial=1e-7), (name, kind)


@pytest.mark.parametrize("format", FORMATS)
def test_every_entry_of_the_tables_is_in_the_catalogue(format: str) -> None:
    rules = RULES[format]
    used = {node.target for node in reference().program.graph.nodes}
    assert rules.rewrites.keys() | rules.refusals.keys() <= used


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_out_is_converted_right(format: str) -> None:
    states = support(reference(), format)
    some = {name: one for name, one in catalogue().items() if states[name].state == "rewritten"}
    assert list(faults(reference(), format, some)) == []


@pytest.mark.parametrize("format", FORMATS)
def test_the_page_is_in_step(format: str) -> None:
    page = read(PAGE)
    expected = support(reference(), format)
    assert list(page) == list(expected)
    for name, row in page.items():
        assert [row[format, precision] for precision in PRECISIONS] == [expected[name]] * 2, name


def test_an_operator_that_a_format_cannot_have_is_named_with_its_module() -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).topk(5).values + x.flatten(1).median(1).values

    program = capture(Net(Gate()), EXAMPLE)
    with pytest.raises(ExportError, match=r"aten.topk.default \(topk, in operator\): .*\n.*aten.median.dim") as told:
        convertible(program, RULES["litert"])
    assert "litert cannot have these operators" in str(told.value)
    assert rewritten(program, RULES["onnx"].rewrites) is program


def test_an_operator_that_writes_in_place_is_found() -> None:
    program = capture(Net(lambda x: (x * x).reciprocal_()), EXAMPLE)
    other: Any = convertible(program, RULES["coreml"]).module()
    targets = {node.target for node in other.graph.nodes}
    assert not targets & {torch.ops.aten.reciprocal.default, torch.ops.aten.reciprocal_.default}
    image = torch.from_numpy(images()["ordinary"][None])
    assert torch.equal(other(image), program.module()(image))


def test_what_no_table_lists_is_named_from_what_the_converter_says() -> None:
    with pytest.raises(ExportError, match="coreml cannot have an operator of the model: digamma"):
        coreml.prepare(capture(Net(torch.digamma), EXAMPLE), JOB).converted(half=False)
    with pytest.raises(KeyError), named_refusals(RULES["onnx"]):
        raise KeyError("anything else passes")


@pytest.mark.parametrize(
    "operator",
    [
        lambda x: x.flatten(1).cumsum(1),
        lambda x: torch.cat((x.clamp(-1, 1), x.clamp(-0.5, 1.5)), 1),
        nn.CELU(),
        lambda x: torch.zeros_like(x).scatter_add(3, torch.zeros(SHAPE, dtype=torch.long), x),
        lambda x: nn.functional.embedding(x[0, 0].clamp(0, 3).long(), torch.eye(4)),
    ],
    ids=["cumsum", "bounded twice", "celu", "scatter_add", "embedding"],
)
def test_onnx_takes_what_it_refused(operator: Any, tmp_path: Path) -> None:
    net = Net(operator).eval()
    prepared = onnx.prepare(capture(net, EXAMPLE), JOB)
    shown = images()["ordinary"][None]
    shares: dict[Precision, float] = {"fp32": 1e-6, "fp16": 3e-3}
    for precision, share in shares.items():
        onnx.write(prepared, precision, tmp_path / precision)
        expected = net(torch.from_numpy(shown)).numpy()
        assert np.abs(onnx.run(tmp_path / precision, shown) - expected).max() <= share * np.abs(expected).max()


def test_a_core_ml_package_without_weights(tmp_path: Path) -> None:
    net = Net(nn.ReLU())
    coreml.write(coreml.prepare(capture(net, EXAMPLE), JOB), "fp32", tmp_path / "net.mlpackage")
    shown = images()["ordinary"][None]
    came = load(tmp_path / "net.mlpackage").predict({"image": shown})["embedding"]
    assert np.array_equal(came, net(torch.from_numpy(shown)).numpy())
