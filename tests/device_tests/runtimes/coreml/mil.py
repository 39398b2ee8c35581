"""Packages with a few operators each, written by coremltools' own builder and exporter, and run by ours."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml import Arithmetic, ReferenceModel, Result, load

logging.getLogger("coremltools").setLevel(logging.ERROR)

import coremltools as ct  # noqa: E402
from coremltools.converters.mil.backend.mil.load import MILProtoExporter  # noqa: E402
from coremltools.converters.mil.mil import Builder as mb  # noqa: E402, N813
from coremltools.converters.mil.mil import types  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402

Array = NDArray[Any]
_TARGETS = {15: ct.target.iOS15, 16: ct.target.iOS16, 17: ct.target.iOS17, 18: ct.target.iOS18}
_TYPES = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32, "bool": types.bool}


def write(path: Path, inputs: dict[str, Array], build: Callable[..., Any], ios: int = 17) -> Path:
    """Write a package whose program takes arrays like ``inputs`` and gives what ``build`` returns: one or several."""
    specs = [mb.TensorSpec(shape=value.shape, dtype=_TYPES[value.dtype.name]) for value in inputs.values()]
    program = mb.program(input_specs=specs, opset_version=_TARGETS[ios])(_named(build, list(inputs)))
    weights = path / "Data" / "com.apple.CoreML" / "weights"
    weights.mkdir(parents=True)
    version = ios - 10 + 1
    model = Model_pb2.Model(specificationVersion=version)
    model.mlProgram.CopyFrom(MILProtoExporter(program, str(weights), version).export())
    function = program.functions["main"]
    for name in function.inputs:
        _describe(model.description.input.add(name=name))
    for output in function.outputs:
        _describe(model.description.output.add(name=output.name))
    (weights.parent / "model.mlmodel").write_bytes(model.SerializeToString())
    entries = {"model": {"path": "com.apple.CoreML/model.mlmodel"}}
    (path / "Manifest.json").write_text(json.dumps({"itemInfoEntries": entries, "rootModelIdentifier": "model"}))
    return path


def opened(
    inputs: dict[str, Array], build: Callable[..., Any], ios: int = 17, arithmetic: Arithmetic = "float32"
) -> ReferenceModel:
    """Write such a package somewhere and load it."""
    with tempfile.TemporaryDirectory() as folder:
        return load(write(Path(folder) / "model.mlpackage", inputs, build, ios), arithmetic)


def run(
    inputs: dict[str, Array], build: Callable[..., Any], ios: int = 17, arithmetic: Arithmetic = "float32"
) -> list[Array]:
    """The outputs, in order. Where an input is one row of a batch, several rows must give what each gives alone."""
    model = opened(inputs, build, ios, arithmetic)
    made = model.predict(inputs)
    if inputs and all(value.shape[:1] == (1,) and value.dtype == np.float32 for value in inputs.values()):
        _require_rows_apart(model, inputs)
    return [made[name] for name in model.outputs]


def result(inputs: dict[str, Array], build: Callable[..., Any], ios: int = 17) -> Result:
    """The outputs with float16 rounding, and what it lost."""
    return opened(inputs, build, ios, "float16").run(inputs)


def _require_rows_apart(model: ReferenceModel, inputs: dict[str, Array]) -> None:
    if not model._executor.plan.stacks:
        return
    rows = [{name: value * factor for name, value in inputs.items()} for factor in np.float32([1, 0.5, 0.7])]
    together = model.predict({name: np.concatenate([row[name] for row in rows]) for name in inputs})
    for name, made in together.items():
        apart = np.concatenate([model.predict(row)[name] for row in rows])
        np.testing.assert_allclose(made, apart, rtol=1e-5, atol=1e-5)


def _describe(feature: Any) -> None:
    feature.type.multiArrayType.dataType = 65568


def _named(build: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    # The builder reads the names of the inputs off the function's parameters.
    scope: dict[str, Any] = {"build": build}
    text = ", ".join(names)
    exec(f"def program({text}):\n    return build({text})", scope)
    return scope["program"]
