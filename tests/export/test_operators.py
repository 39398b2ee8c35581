"""Operators as files compute what torch computes, and are nothing but themselves."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from device_tests.latency.measure import measure_latency
from device_tests.latency.stopwatch import least_milliseconds
from device_tests.runner.stopwatch import least_seconds
from device_tests.targets.desktop import Desktop
from device_tests.targets.registry import stopwatch
from device_tests.targets.target import Progress, Timed, Timing
from export.formats.operators import converted, operator_files
from hetero.errors import InputError
from hetero.models.config import Stage
from hetero.nas.cost.layers import HEAD, PIXELS, Layer
from hetero.nas.cost.operators import distinct_operators

EDGE = Stage(channels=16, expansion=2.0, squeeze_excite=True)
LAYERS = [
    Layer(PIXELS, 3, 3, 8, 8),
    Layer("inverted_residual", 16, 16, 8, 8, 1, EDGE),
    Layer("shuffle", 16, 16, 8, 8, 1, Stage(channels=16, expansion=1.0, block="shuffle", activation="relu")),
    Layer(HEAD, 16, 8, 4, 4, pool="gem"),
]


def inputs(operator) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [
        torch.randint(0, 256, one.shape, dtype=torch.uint8) if one.dtype == torch.uint8 else torch.randn_like(one)
        for one in operator.examples
    ]


def expected(operator) -> list[np.ndarray]:
    with torch.no_grad():
        given = operator.module(*inputs(operator))
    return [one.numpy() for one in (given if isinstance(given, tuple) else (given,))]


def test_onnx_files_compute_what_torch_computes():
    import onnxruntime

    operators = list(distinct_operators(LAYERS).values())
    for operator, content in zip(operators, converted(operators, "onnx"), strict=True):
        session: Any = onnxruntime.InferenceSession(content)
        names = [one.name for one in session.get_inputs()]
        came = session.run(None, dict(zip(names, [one.numpy() for one in inputs(operator)], strict=True)))
        for one, other in zip(came, expected(operator), strict=True):
            assert np.abs(one - other).max() < 1e-5, operator.name


@pytest.mark.slow
def test_litert_files_compute_what_torch_computes_without_their_guards():
    from ai_edge_litert.interpreter import Interpreter

    # The converter folds the scaling of pixels into the convolution behind it, as in a network: nothing is left of it.
    operators = [one for name, one in distinct_operators(LAYERS).items() if not name.startswith("pixels")]
    for operator, content in zip(operators, converted(operators, "litert"), strict=True):
        interpreter: Any = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        for taken, value in zip(interpreter.get_input_details(), inputs(operator), strict=True):
            interpreter.set_tensor(taken["index"], laid_out(value.numpy(), taken["shape"]))
        interpreter.invoke()
        for given, value in zip(interpreter.get_output_details(), expected(operator), strict=True):
            came = interpreter.get_tensor(given["index"])
            assert np.abs(came - laid_out(value, came.shape)).max() < 1e-5, operator.name
        kinds = [one["op_name"] for one in interpreter._get_ops_details()]
        assert kinds.count("CONV_2D") + kinds.count("DEPTHWISE_CONV_2D") == convolutions(operator), operator.name


def laid_out(value: np.ndarray, shape: Any) -> np.ndarray:
    return value if value.shape == tuple(shape) else value.transpose(0, 2, 3, 1)


def convolutions(operator) -> int:
    return sum(isinstance(one, torch.nn.Conv2d) for one in operator.module.modules())


def test_an_operator_is_converted_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path))
    done: list[int] = []
    first = operator_files(LAYERS[:2], "onnx", done.append)
    times = {name: file.stat().st_mtime_ns for name, file in first.items()}
    again = operator_files(LAYERS, "onnx", done.append)
    assert {name: again[name].stat().st_mtime_ns for name in first} == times
    assert sum(done) == len(first) + len(again)


def test_the_least_of_several_sweeps_counts(tmp_path, monkeypatch):
    class Scripted(Desktop):
        sweeps = iter([(3e-3, 1e-3), (2e-3, 5e-3)])

        def time(self, timing: Timing, progress: Progress) -> Timed:
            assert timing.models == (tmp_path / "a", tmp_path / "b")
            return Timed(next(self.sweeps), "1.2")

    files = {"a": tmp_path / "a", "b": tmp_path / "b"}
    assert least_milliseconds(Scripted(), files, "onnxruntime", sweeps=2) == ({"a": 2.0, "b": 1.0}, "1.2")


def test_the_least_of_a_models_runs_counts(monkeypatch):
    clock = iter([0.0, *(0.0, 3.0), *(0.0, 1.0), *(0.0, 2.0), 0.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    ran: list[int] = []
    assert least_seconds(lambda: ran.append(1), runs=3, at_least=0.0) == 1.0
    assert len(ran) == 6, "three to warm up, three that count"


def test_a_model_that_cannot_be_timed_says_why(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with (
        contextlib.closing(Desktop()) as desktop,
        pytest.raises(InputError, match="onnxruntime cannot time a model: .*[Pp]rotobuf"),
    ):
        desktop.time(Timing("onnxruntime", (broken,)), lambda _done, _total: None)


def test_a_table_is_measured_for_every_operator(tmp_path, monkeypatch):
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path))
    with contextlib.closing(Desktop()) as desktop:
        table = measure_latency(desktop, LAYERS, ("onnx",), sweeps=1)
    assert table.target["name"] == "desktop" and table.runtimes == ("onnxruntime",)
    assert 0 < table.predict(LAYERS, "onnxruntime") < 100
    assert set(table.measured["onnxruntime"].operators) == set(distinct_operators(LAYERS))
    assert Path(tmp_path / "operators" / "onnx").is_dir()


@pytest.mark.parametrize("name", ["phone-arm64", "phone-system", "browser"])
def test_a_target_whose_clock_says_nothing_measures_no_table(name):
    with pytest.raises(
        InputError, match=f"{name} cannot time models; expected one of desktop, phone-system:count, adb:SERIAL"
    ):
        stopwatch(name)
