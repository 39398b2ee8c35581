"""Sizes of int8 files as shares of fp32's, over the size of the network and the number of scales.

    python benchmarks/file_sizes.py --widths 1 2 3

Untrained networks of the default edge family: a file's size does not depend on what its weights are. Metadata (about
400 bytes) are left out. Core ML packages count with everything, and have a scale a layer or a channel by their weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import get_args

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402

from export import (  # noqa: E402
    Source,
    calibration_set,
)
from export.bundle.quantisation import Scales  # noqa: E402
from export.capture.program import capture  # noqa: E402
from export.conversion.graphs import with_neck_folded  # noqa: E402
from export.formats.converter import ConversionJob  # noqa: E402
from export.formats.coreml import convert as coreml  # noqa: E402
from export.formats.litert import convert as litert  # noqa: E402
from export.formats.litert import file as litert_file  # noqa: E402
from export.formats.litert.int8 import LiteRtQuantiser  # noqa: E402
from export.formats.onnx import convert as onnx  # noqa: E402
from export.formats.onnx.compact import compact  # noqa: E402
from export.formats.onnx.int8 import OnnxQuantiser  # noqa: E402
from export.precision.calibration import Calibration  # noqa: E402
from export.precision.choose import Choice  # noqa: E402
from hetero import (  # noqa: E402
    EmbeddingModel,
    EmbeddingSpace,
    ModelConfig,
    Preprocessing,
)

_SIDE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 2.0])
    print("| weights | format | fp32, KB | " + " | ".join(f"int8, a scale a {one}" for one in get_args(Scales)) + " |")
    print("|---|---|---|---|---|---|")
    for width in parser.parse_args().widths:
        model = EmbeddingModel("edge", ModelConfig(width=width), Preprocessing(height=_SIDE, width=_SIDE)).eval()
        weights = sum(parameter.numel() for parameter in model.parameters())
        for format, whole, parts in _sizes(model):
            shares = [f"{part / 1000:.0f} ({part / whole:.3f})" for part in parts]
            print(f"| {weights} | {format} | {whole / 1000:.0f} | {' | '.join(shares)} |", flush=True)


def _sizes(model: EmbeddingModel) -> list[tuple[str, int, list[int]]]:
    """Per format: bytes in fp32, and in int8 by the number of scales."""
    space = EmbeddingSpace.define(defined_by="0" * 64, name="none", version="1", dimension=model.config.dimension)
    source = Source("edge", model, model.preprocessing, space, "0" * 64, model.pixels)
    images = np.random.default_rng(0).integers(0, 256, (16, _SIDE, _SIDE, 3), dtype=np.uint8)
    vectors = source.embed(images)
    calibration = Calibration(calibration_set(images, np.arange(16) // 2, vectors, space), vectors)
    program = capture(with_neck_folded(model), source.example)
    job = ConversionJob(source.describe(), _SIDE, _SIDE, {}, calibration)
    choices = [Choice(scales=one) for one in get_args(Scales)]

    proto = onnx.prepare(program, job).proto
    quantiser = OnnxQuantiser(proto, calibration)
    rows = calibration.range_rows
    int8 = [len(quantiser.quantise(choice, rows)) for choice in choices]
    compact(proto)
    sizes = [("onnx", proto.ByteSize(), int8)]

    content = litert.prepare(program, job).content
    lite = LiteRtQuantiser(content, calibration)
    int8 = [len(lite.quantise(choice, rows)) for choice in choices]
    sizes.append(("litert", len(litert_file.compacted(content)), int8))

    prepared = coreml.prepare(program, job)
    with tempfile.TemporaryDirectory() as folder:
        packages = [Path(folder) / f"{one}.mlpackage" for one in ("fp32", "int8-weights")]
        coreml.write(prepared, "fp32", packages[0])
        coreml.write(prepared, "int8-weights", packages[1])
        whole, part = (sum(file.stat().st_size for file in one.rglob("*") if file.is_file()) for one in packages)
    return [*sizes, ("coreml", whole, [part])]


if __name__ == "__main__":
    main()
