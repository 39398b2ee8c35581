"""TFLite files as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.formats.litert import file as litert_file
from export.formats.litert.convert import embed
from tests.device_tests.tiny_models import HEIGHT, WIDTH, weights, write_litert


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    write_litert(tmp_path / "model.tflite", weights())
    return with_signature((tmp_path / "model.tflite").read_bytes())


def with_signature(content: bytes) -> bytes:
    """Converters name input and output in a signature; the file made by hand has none."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = litert_file.parse(content)
    (graph,) = model.subgraphs
    ends = [
        [schema.TensorMapT(name=name, tensorIndex=int(tensor))]
        for name, tensor in (("args_0", graph.inputs[0]), ("output_0", graph.outputs[0]))
    ]
    model.signatureDefs = [schema.SignatureDefT(inputs=ends[0], outputs=ends[1], signatureKey="serving_default")]
    return litert_file.pack(model)


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)


def with_weights_behind(content: bytes) -> bytes:
    """The same file with its largest buffer behind the flatbuffer, as the quantiser writes it."""
    import flatbuffers

    def packed(offset: int) -> bytes:
        model: Any = litert_file.parse(content)
        largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
        largest.data, largest.offset, largest.size = None, offset, len(data)
        builder: Any = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    buffers = [buffer.data for buffer in litert_file.parse(content).buffers if buffer.data is not None]
    data = bytes(max(buffers, key=len))
    return packed(len(packed(1 << 20))) + data


def test_names_metadata_and_alignment_change_nothing(content: bytes) -> None:
    metadata = {"hetero.version": "1", "hetero.model": "m"}
    plain = litert_file.with_plain_names(content)
    done = litert_file.described(plain, metadata, "image", "embedding")
    assert litert_file.read_metadata(done) == metadata
    assert np.array_equal(embed(done, pictures()), embed(content, pictures()))


def test_weights_behind_the_flatbuffer_are_kept(content: bytes) -> None:
    behind = with_weights_behind(content)
    assert litert_file.parse(behind).buffers is not None
    packed = litert_file.pack(litert_file.parse(behind))
    assert np.array_equal(embed(packed, pictures()), embed(content, pictures()))
    with pytest.raises(ValueError, match="beyond its own end"):
        litert_file.parse(behind[:-4])


def test_byte_output_stands_for_the_same_numbers(content: bytes) -> None:
    made = litert_file.with_byte_output(litert_file.with_plain_names(content), 1 / 128, 128)
    assert np.abs(embed(made, pictures()) - embed(content, pictures())).max() <= 1 / 256 + 1e-6
