"""Core ML packages are small: what is compressed, with how many scales, and where its numbers are kept."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.proto import MIL_pb2
from torch import Tensor, nn
from torch.nn import functional as F

from device_tests.runtimes.coreml import load
from export.capture.program import capture
from export.formats.converter import ConversionJob
from export.formats.coreml import convert as coreml
from export.formats.coreml.weights import FILE, LARGEST_WITHIN, move_small_within

SIDE, OUTPUTS = 8, 128
PROTO: Any = MIL_pb2


class Net(nn.Module):
    """Two layers: the channels of the first differ by a factor of 1,000, those of the second do not."""

    def __init__(self) -> None:
        super().__init__()
        self.uneven = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.even = nn.Linear(32, OUTPUTS)
        with torch.no_grad():
            self.uneven.weight *= torch.logspace(-3, 0, 32)[:, None, None, None]

    def forward(self, image: Tensor) -> Tensor:
        planes = image.permute(0, 3, 1, 2).float() / 32 - 4
        return F.normalize(self.even(F.hardswish(self.uneven(planes)).mean(dim=(2, 3))), dim=1)


def operations(package: Path) -> list[Any]:
    specification = coreml.read_specification(package)
    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    return list(block.operations)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Net, Path]:
    torch.manual_seed(0)
    net, folder = Net().eval(), tmp_path_factory.mktemp("coreml")
    program = capture(net, torch.zeros((1, SIDE, SIDE, 3), dtype=torch.uint8))
    job = ConversionJob({"hetero.model": "net", "hetero.version": "0"}, SIDE, SIDE, {}, None)
    prepared = coreml.prepare(program, job)
    for precision in ("fp32", "int8-weights"):
        coreml.write(prepared, precision, folder / f"{precision}.mlpackage")
    return net, folder


@pytest.mark.parametrize(("precision", "least"), [("fp32", 1 - 1e-6), ("int8-weights", 0.9995)])
def test_packages_compute_what_torch_computes(packages: tuple[Net, Path], precision: str, least: float) -> None:
    net, folder = packages
    images = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = net(torch.from_numpy(images)).numpy()
    found = load(folder / f"{precision}.mlpackage").predict({"image": images})["embedding"]
    assert (found * expected).sum(axis=1).min() > least


def test_one_scale_where_no_channel_loses_much_by_it(packages: tuple[Net, Path]) -> None:
    compressed = [one for one in operations(packages[1] / "int8-weights.mlpackage") if "constexpr" in one.type]
    shapes = {
        tuple(each.constant.size for each in one.outputs[0].type.tensorType.dimensions): [
            [each.constant.size for each in one.attributes[name].type.tensorType.dimensions]
            for name in ("scale", "zero_point")
        ]
        for one in compressed
    }
    assert shapes == {(32, 3, 3, 3): [[32], []], (OUTPUTS, 32): [[], []]}


def test_hard_swish_is_a_product_with_its_gate(packages: tuple[Net, Path]) -> None:
    kinds = [one.type for one in operations(packages[1] / "fp32.mlpackage")]
    assert kinds.count("sigmoid_hard") == 1
    assert "thresholded_relu" not in kinds


def test_coremltools_reads_them(packages: tuple[Net, Path]) -> None:
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load as read

    net, folder = packages
    model: Any = ct.models.MLModel(str(folder / "fp32.mlpackage"), skip_model_load=True)
    program = read(model.get_spec(), specification_version=7, file_weights_dir=model.weights_dir)
    held = [np.asarray(one.val.val) for one in program.functions["main"].find_ops(op_type="const")]
    for layer in (net.uneven, net.even):
        assert any(np.array_equal(one, layer.weight.detach().numpy()) for one in held)


def test_what_one_scale_costs_the_weakest_channel() -> None:
    # The scale is 127/127: 0.4 becomes 0, all of its channel; 126.8 becomes 127, and is 127's neighbour.
    assert coreml.lost_to_one_scale(np.array([[127.0, 126.8], [0.4, 3.0]])) == pytest.approx(0.4 / np.hypot(0.4, 3))
    # Channels of nothing lose nothing.
    assert coreml.lost_to_one_scale(np.array([[1.0, -1.0], [0.0, 0.0]])) == pytest.approx(0, abs=1e-12)
    assert coreml.lost_to_one_scale(np.zeros((2, 3))) == 0


def blob(value: Any, stored: bytearray, code: int, data: bytes) -> None:
    """Add a blob to a file of weights, as coremltools writes it."""
    value.blobFileValue.fileName, value.blobFileValue.offset = "@model_path/weights/weight.bin", len(stored)
    stored += struct.pack("<IIQQQ32x", 0xDEADBEEF, code, len(data), len(stored) + 64, 0) + data
    stored += bytes(-len(stored) % 64)


def test_small_constants_move_into_the_program_and_large_ones_stay() -> None:
    large = bytes(range(256)) * (LARGEST_WITHIN // 256) + b"!"
    floats = np.arange(12, dtype=np.float32)
    stored = bytearray(struct.pack("<II56x", 4, 2))
    made = [PROTO.Operation(type="const") for _ in range(4)]
    contents = [(1, b"halves"), (4, large), (2, floats.tobytes()), (8, b"four bits")]
    for operation, (code, data) in zip(made, contents, strict=True):
        blob(operation.attributes["val"], stored, code, data)
    twin = PROTO.Operation.FromString(made[1].SerializeToString())
    left = move_small_within([*made, twin], bytes(stored))
    halves, whole, numbers, bits = (one.attributes["val"] for one in made)
    assert halves.immediateValue.tensor.bytes.values == b"halves"
    assert [*numbers.immediateValue.tensor.floats.values] == [*floats]
    # What is shared stays shared; numbers of fewer than eight bits are nowhere written out.
    assert whole.blobFileValue.offset == twin.attributes["val"].blobFileValue.offset == 64
    assert left[128 : 128 + len(large)] == large
    assert struct.unpack_from("<II", left) == (2, 2)
    assert left[bits.blobFileValue.offset :][64:73] == b"four bits"
    assert len(left) % 64 == 0 == bits.blobFileValue.offset % 64


def test_other_files_of_weights_are_refused() -> None:
    operation = PROTO.Operation(type="const")
    operation.attributes["val"].blobFileValue.offset = 64
    with pytest.raises(ValueError, match="version 2, got 3"):
        move_small_within([operation], struct.pack("<II56x", 1, 3))
    with pytest.raises(ValueError, match="weights at 64 are not in the file"):
        move_small_within([operation], struct.pack("<II56x", 1, 2) + bytes(64))


def test_a_package_without_large_constants_keeps_an_empty_file(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE * 3, 4))

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, image: Tensor) -> Tensor:
            return self.net(image.float())

    program = capture(Whole().eval(), torch.zeros((1, SIDE, SIDE, 3), dtype=torch.uint8))
    job = ConversionJob({"hetero.model": "net", "hetero.version": "0"}, SIDE, SIDE, {}, None)
    path = tmp_path / "small.mlpackage"
    coreml.write(coreml.prepare(program, job), "fp32", path)
    assert (path / FILE).stat().st_size == 64
    assert load(path).predict({"image": np.zeros((1, SIDE, SIDE, 3), np.uint8)})["embedding"].shape == (1, 4)
