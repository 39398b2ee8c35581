"""Which space a model's file names, written by the real libraries and read without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.ladder.identity import space_in_file
from export.kinds.format import SPACE_KEY as KEY
from tests.device_tests.tiny_models import weights, write_onnx


def test_onnx(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_onnx(path, weights())
    assert space_in_file("onnx", path) == ""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"other": "1", KEY: "abc"})
    onnx.save(model, path)
    assert space_in_file("onnx", path) == "abc"


def litert_with(content: bytes, path: Path, name: str = "hetero") -> Path:
    """A LiteRT file without a network whose metadata holds ``content``."""
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes = 3, [], []
    held = schema.BufferT()
    held.data = np.frombuffer(content, np.uint8)
    model.buffers = [schema.BufferT(), held]
    model.metadata = [schema.MetadataT(name=name, buffer=1)]
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_litert(tmp_path: Path) -> None:
    content = json.dumps({KEY: "abc"}).encode()
    assert space_in_file("litert", litert_with(content, tmp_path / "m.tflite")) == "abc"
    assert space_in_file("litert", litert_with(content, tmp_path / "m.tflite", "other")) == ""


@pytest.mark.parametrize(
    "content", [b"[" * 60_000 + b"]" * 60_000, b"[1]", b" " * (1 << 20) + b'{"hetero.space_id": "abc"}', b"1e999"]
)
def test_metadata_without_bounds_names_none(tmp_path: Path, content: bytes) -> None:
    assert space_in_file("litert", litert_with(content, tmp_path / "m.tflite")) == ""


def test_core_ml(tmp_path: Path) -> None:
    model_pb2 = pytest.importorskip("coremltools.proto.Model_pb2")
    made = model_pb2.Model(specificationVersion=7)
    made.description.metadata.userDefined["x"] = "y"
    made.description.metadata.userDefined[KEY] = "abc"
    file = tmp_path / "m.mlpackage" / "Data" / "com.apple.CoreML" / "model.mlmodel"
    file.parent.mkdir(parents=True)
    file.write_bytes(made.SerializeToString())
    assert space_in_file("coreml", tmp_path / "m.mlpackage") == "abc"


@given(content=st.binary(max_size=200))
def test_other_files_name_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("x") / "m"
    path.write_bytes(content)
    assert space_in_file("onnx", path) == ""
    path.write_bytes(b"\0\0\0\0TFL3" + content)
    space_in_file("litert", path)
