"""Full int8 of a pretrained EfficientNet-Lite0: hetero's choice against one line of each plain tool.

    python benchmarks/int8_baselines.py PHOTOS --calibration 40 600 --seeds 0 1 2 --out runs/int8

PHOTOS has train, validation and test folders of classes. The network's pooled features are both cloud and student. For
each seed calibration images are drawn from train, the same for all: ``quantize_static(per_channel=True)`` of ONNX
Runtime, ``static_wi8_ai8`` of LiteRT's quantiser, and what hetero's export takes. Test images, embedded by each int8
file, search the float32 features of the test images, leave-one-out. Settings are tuned with ``--split validation``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from jaxtyping import Float, Float32, UInt8  # noqa: E402

import hetero  # noqa: E402
from benchmarks.machine import where_and_when  # noqa: E402
from benchmarks.records import signed  # noqa: E402
from export import (  # noqa: E402
    Source,
    calibration_set,
    from_module,
)
from export.bundle.quantisation import Quantisation  # noqa: E402
from export.capture.program import capture  # noqa: E402
from export.formats.converter import ConversionJob  # noqa: E402
from export.formats.litert import convert as litert  # noqa: E402
from export.formats.litert import int8 as litert_int8  # noqa: E402
from export.formats.onnx import convert as onnx  # noqa: E402
from export.formats.onnx import int8 as onnx_int8  # noqa: E402
from export.precision.calibration import Calibration  # noqa: E402
from export.precision.measure import mean_angle  # noqa: E402
from export.precision.table import offer  # noqa: E402
from hetero import (  # noqa: E402
    EmbeddingSpace,
    ImageSet,
)
from hetero.files import write_json  # noqa: E402
from hetero.metrics import (  # noqa: E402
    RetrievalTask,
    count_flips,
    difference_interval,
    evaluate_tasks,
    nfr_difference_interval,
    overlap,
)
from hetero.metrics.top_overlap import nearest  # noqa: E402
from hetero.models.backbones.pretrained import EFFICIENTNET_LITE, Backbone, backbone  # noqa: E402

SIDE = 224
Images = UInt8[np.ndarray, "n h w 3"]
Vectors = Float32[np.ndarray, "n d"]


class Pooled(torch.nn.Module):
    """The mean over places of a backbone's last feature map."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Float[torch.Tensor, "b 3 h w"]) -> Float[torch.Tensor, "b c"]:
        """One vector an image."""
        return self.network(pixels).mean(dim=(2, 3))


@dataclass(frozen=True)
class Converted:
    """The float32 files that everything is made from."""

    source: Source
    proto: Any
    content: bytes


@dataclass(frozen=True)
class Made:
    """An int8 file."""

    content: bytes
    seconds: float
    quantisation: Quantisation | None = None


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    converted = convert()
    dataset = hetero.prepare(
        hetero.DataConfig(kind="folder", path=str(options.photos), protocol="leave-one-out"),
        converted.source.preprocessing,
    )
    yardstick = Yardstick(converted.source, getattr(dataset, options.split))
    rows: list[dict[str, Any]] = []
    for images in options.calibration:
        for seed in options.seeds:
            calibration = drawn(converted.source, dataset.train, images, seed)
            for format in ("onnx", "litert"):
                plain, ours = PLAIN[format](converted, calibration), OURS[format](converted, calibration)
                rows.append(
                    {"images": images, "seed": seed, "format": format, **yardstick.compare(format, plain, ours)}
                )
                print(line(rows[-1]), flush=True)
    here = where_and_when()
    write_json(options.out / f"{options.split}.json", {"rows": rows, "queries": len(yardstick.labels), **here})
    print(json.dumps(here), HEADER, *map(line, rows), sep="\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--calibration", type=int, nargs="+", default=[40, 600], help="how many images")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the calibration images")
    parser.add_argument("--split", choices=["test", "validation"], default="test", help="what to measure on")
    parser.add_argument("--out", type=Path, default=Path("runs/int8"))
    return parser.parse_args()


def convert() -> Converted:
    """Lite0's pooled features in float32."""
    network = backbone(EFFICIENTNET_LITE).eval()
    preprocessing = hetero.Preprocessing(height=SIDE, width=SIDE, mean=network.mean, std=network.std)
    space = EmbeddingSpace.define(defined_by="0" * 64, name=EFFICIENTNET_LITE, version="1", dimension=network.channels)
    source = from_module(Pooled(network), preprocessing, space, name=EFFICIENTNET_LITE)
    program, job = capture(source.module, source.example), ConversionJob(source.describe(), SIDE, SIDE, {}, None)
    return Converted(source, onnx.prepare(program, job).proto, litert.prepare(program, job).content)


def drawn(source: Source, train: ImageSet, images: int, seed: int) -> Calibration:
    """Calibration images of every class, shuffled by the seed; their gallery is the network's own vectors."""
    order = np.random.default_rng(seed).permutation(len(train.labels))
    empty = np.zeros((len(order), source.space.dimension), np.float32)
    chosen = calibration_set(train.images[order], np.asarray(train.labels)[order], empty, source.space, most=images)
    vectors = source.embed(chosen.images)
    return Calibration(replace(chosen, cloud_embeddings=vectors), vectors)


class Yardstick:
    """Measures int8 files on images that nothing was chosen by."""

    def __init__(self, source: Source, images: ImageSet) -> None:
        self.images, self.labels = np.asarray(images.images[:]), np.asarray(images.labels)
        self.whole = source.embed(self.images)
        every = np.arange(len(self.labels))
        self.tasks = (RetrievalTask("leave-one-out", every, every, exclude_self=True),)

    def compare(self, format: str, plain: Made, ours: Made) -> dict[str, Any]:
        """Figures of both files, and how ours differs with paired 95 % intervals over queries."""
        figures = [self._measured(EMBED[format](made.content, self.images)) for made in (plain, ours)]
        (overlap_plain, precision_plain, right_plain, angle_plain), (overlaps, precision, right, angle) = figures
        before = self._measured(self.whole)[2]
        return {
            "size": [len(plain.content), len(ours.content)],
            "seconds": [round(plain.seconds, 1), round(ours.seconds, 1)],
            "overlap": [overlap_plain.mean(), overlaps.mean()],
            "negative flips": [count_flips(before, each).negative for each in (right_plain, right)],
            "map@r": [precision_plain.mean(), precision.mean()],
            "angle": [angle_plain, angle],
            "overlap gain": asdict(difference_interval(overlaps, overlap_plain)),
            "nfr gain": asdict(nfr_difference_interval(before, right, right_plain)),
            "map@r gain": asdict(difference_interval(precision, precision_plain)),
            "quantisation": ours.quantisation and asdict(ours.quantisation),
        }

    def _measured(self, vectors: Vectors) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """overlap@10 and map@r of each query, whether it is right at rank 1, and the mean angle."""
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        neighbours = [nearest(each, self.whole, self.tasks) for each in (vectors, self.whole)]
        result = evaluate_tasks(vectors, self.whole, self.labels, self.tasks)
        (overlaps,), (precision,), (first,) = overlap(*neighbours), result.per_query("map@r"), result.per_query("cmc@1")
        return overlaps, precision, first > 0, mean_angle(vectors, self.whole)


def _ours(make: Callable[[Converted, Calibration], tuple[bytes, Quantisation]]) -> Callable[..., Made]:
    def timed(converted: Converted, calibration: Calibration) -> Made:
        # Processor time, since the machine may be busy.
        start = time.process_time()
        content, quantisation = make(converted, calibration)
        return Made(content, time.process_time() - start, quantisation)

    return timed


def onnx_runtime(converted: Converted, calibration: Calibration) -> Made:
    """``quantize_static(per_channel=True)``."""
    import onnx as onnx_package
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rows = iter(calibration.retrieval.images)

        def get_next(self) -> Any:
            row = next(self.rows, None)
            return None if row is None else {"image": row[None]}

    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        whole, ready, out = (Path(folder) / name for name in ("whole.onnx", "ready.onnx", "int8.onnx"))
        onnx_package.save(converted.proto, whole)
        quant_pre_process(whole, ready, skip_symbolic_shape=True)
        quantize_static(
            ready, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return Made(out.read_bytes(), time.process_time() - start)


def litert_quantiser(converted: Converted, calibration: Calibration) -> Made:
    """The recipe ``static_wi8_ai8`` as it is."""
    from ai_edge_quantizer import quantizer, recipe

    start = time.process_time()
    made: Any = quantizer.Quantizer(bytearray(converted.content), recipe.static_wi8_ai8())
    data = {"serving_default": [{"args_0": image[None]} for image in calibration.retrieval.images]}
    content = bytes(made.quantize(made.calibrate(data)).quantized_model)
    return Made(content, time.process_time() - start)


PLAIN = {"onnx": onnx_runtime, "litert": litert_quantiser}
OURS = {
    "onnx": _ours(
        lambda converted, calibration: onnx_int8.quantised(converted.proto, calibration, offer("onnx", "int8").goal)
    ),
    "litert": _ours(
        lambda converted, calibration: litert_int8.quantised(
            converted.content, calibration, offer("litert", "int8").goal
        )
    ),
}
EMBED: dict[str, Callable[[bytes, Images], Vectors]] = {
    "onnx": lambda content, images: onnx.embed(content, images, exact=True),
    "litert": litert.embed,
}
HEADER = (
    "| images, seed | format | size, plain / ours | overlap@10 | ours - plain | negative flips | nfr: ours - plain | "
    "map@r | ours - plain | angle, degrees | processor, s | ours |\n" + "|---" * 12 + "|"
)


def line(row: dict[str, Any]) -> str:
    """Of the table: the plain tool's figures, then ours."""
    made = row["quantisation"]
    sizes = row["size"]
    settings = f"{made['calibrator']}, {made['scales']}" + (", biases" if made["bias_correction"] else "")
    return (
        f"| {row['images']}, {row['seed']} | {row['format']} | {sizes[0] / 1000:.0f} / {sizes[1] / 1000:.0f} kB "
        f"({sizes[1] / sizes[0]:.2f}) | {row['overlap'][0]:.3f} / {row['overlap'][1]:.3f} "
        f"| {signed(row['overlap gain'])} | {row['negative flips'][0]} / {row['negative flips'][1]} "
        f"| {signed(row['nfr gain'])} | {row['map@r'][0]:.4f} / {row['map@r'][1]:.4f} | {signed(row['map@r gain'])} "
        f"| {row['angle'][0]:.1f} / {row['angle'][1]:.1f} | {row['seconds'][0]:.0f} / {row['seconds'][1]:.0f} "
        f"| {settings} |"
    )


if __name__ == "__main__":
    main()
