"""An error planted in one operator of a hand-made file is found there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.formats.onnx.graph import read_graph as onnx_graph
from export.kinds.graph import Graph, GraphOperator
from export.trace.trace import Trace, compare, plot, table
from hetero.errors import InputError

LAYERS = 6


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 2, 2, 3), dtype=np.uint8)


def write_chain(path: Path, *, broken: int | None = None, noise: float = 0.0) -> Path:
    """Six matrices, one after another; one of them may be off, all of them a little noisy."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, other = np.random.default_rng(1), np.random.default_rng(2)
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["layer0"]),
    ]
    weights = []
    for layer in range(LAYERS):
        matrix = np.linalg.qr(rng.normal(size=(12, 12)))[0]
        matrix = matrix + noise * other.normal(size=matrix.shape)
        if layer == broken:
            matrix = matrix + 0.3 * other.normal(size=matrix.shape)
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [f"layer{layer}", f"w{layer}"], [f"layer{layer + 1}"]))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 2, 2, 3])],
        [helper.make_tensor_value_info(f"layer{LAYERS}", TensorProto.FLOAT, [1, 12])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Graph:
    return onnx_graph(write_chain(tmp_path / "whole.onnx"))


@pytest.mark.parametrize("broken", [0, 3, 5])
def test_the_broken_layer_is_found(whole: Graph, tmp_path: Path, broken: int) -> None:
    reduced = onnx_graph(write_chain(tmp_path / "reduced.onnx", broken=broken, noise=1e-3))
    found = compare(whole, reduced, images(), "onnx", "int8")
    assert found.first is not None
    step = found.steps[found.first]
    assert (step.name, step.kind) == (f"layer{broken + 1}", "MatMul")
    assert step.added > 0.9
    assert f"first to add more than 4 times its even share of {1 / 8:.1%}: MatMul layer{broken + 1}" in table(found)


def test_noise_everywhere_blames_nobody(whole: Graph, tmp_path: Path) -> None:
    found = compare(whole, onnx_graph(write_chain(tmp_path / "reduced.onnx", noise=1e-2)), images(), "onnx", "int8")
    assert found.first is None
    assert "the error grows evenly" in table(found)
    assert sum(step.added for step in found.steps) == pytest.approx(1)


def test_error_and_share_by_hand() -> None:
    operators = (
        GraphOperator("a", "One", ()),
        GraphOperator("b", "Two", ("a",)),
        GraphOperator("cast", "Cast", ("b",)),
    )
    values = {"a": np.array([3.0, 4.0], np.float32), "b": np.array([0.0, 10.0], np.float32)}
    changed = {"a": np.array([3.0, 4.5], np.float32), "b": np.array([2.0, 10.0], np.float32)}
    found = compare(
        Graph(operators, lambda images: iter([values] * len(images))),
        Graph(operators[:2], lambda images: iter([changed] * len(images))),
        images(1),
        "onnx",
        "fp16",
    )
    # 0.5 / 5 and 2 / 10; squared 0.01 and 0.04, of which 0.01 was there before.
    assert [step.error for step in found.steps] == pytest.approx([0.1, 0.2])
    assert [step.added for step in found.steps] == pytest.approx([0.25, 0.75])


def test_not_finite_is_the_largest_error() -> None:
    operators = (GraphOperator("a", "One", ()),)
    right, wrong = {"a": np.ones(2, np.float32)}, {"a": np.array([1, np.inf], np.float32)}
    graphs = [Graph(operators, lambda images, one=one: iter([one] * len(images))) for one in (right, wrong)]
    assert compare(*graphs, images(1), "onnx", "fp16").steps[0].error >= 1e6


def test_plot_is_the_same_each_time(whole: Graph, tmp_path: Path) -> None:
    found: Trace = compare(whole, onnx_graph(write_chain(tmp_path / "r.onnx", broken=2)), images(), "onnx", "int8")
    for name in ("a.svg", "b.svg"):
        plot([found], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "layer3" in (tmp_path / "a.svg").read_text()


def test_a_bundle_without_a_reduced_file(tmp_path: Path) -> None:
    from export.bundle.reading import read_bundle
    from export.trace.trace import trace
    from tests.export.bundles import write_bundle

    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    with pytest.raises(InputError, match=r"expected a reduced precision of onnx.*the bundle has onnx fp32"):
        trace(bundle, "onnx", "int8")
    with pytest.raises(InputError, match="coreml: not verified"):
        trace(bundle, "coreml", "fp16")
