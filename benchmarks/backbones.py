"""Seven backbones in every format, in fp32, fp16 and int8: what converts, how near to torch, what it retrieves.

    python -m benchmarks.backbones PHOTOS --out runs/backbones

EfficientNet-Lite0 has its ImageNet weights. The others, of timm, are untrained: their weights are on a hub alone. Their
batch-norm statistics are those of photos, and scales that start at zero are one, so that every block counts. Random
weights are a stress for int8: nothing has learnt to survive it, and unlike photos get vectors that lie near each other.

Each network is its own cloud: exported, its queries search torch's vectors of the gallery, where torch's own map@r is
what there is to lose. Core ML runs in the reference executor, and has int8 for weights alone. Networks that were done
before are not done again. Exits with 1 when a file is missing that its format offers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402

import hetero  # noqa: E402
from benchmarks.export import measured  # noqa: E402
from benchmarks.machine import timed, where_and_when  # noqa: E402
from benchmarks.networks import DIMENSION, LITE, NETWORKS, OF_TIMM, SIDE, folder_of, new_model  # noqa: E402
from export import RetrievalSet, calibration_set, export_model, from_directory, read_bundle  # noqa: E402
from export.kinds.precision import Precision  # noqa: E402
from export.kinds.registry import format_called  # noqa: E402
from export.precision.table import offered, refused  # noqa: E402
from hetero import save_model  # noqa: E402
from hetero.files import read_json, write_json  # noqa: E402
from hetero.metrics import RetrievalTask  # noqa: E402
from hetero.models.weights import weights_digest  # noqa: E402

FORMATS = ("onnx", "litert", "coreml", "executorch")
COLUMNS: dict[Precision, tuple[Precision, ...]] = {
    "fp32": ("fp32",),
    "fp16": ("fp16",),
    "int8": ("int8", "int8-weights"),
}
"""Core ML's int8 is of weights alone; of the other formats int8-weights is left out."""
GOAL = 0.1
"""What int8 may lose of map@r, as a share: no layer goes back to float32 for less, which takes minutes a network."""
MISSING = "missing"


def main() -> int:
    options = _options()
    torch.set_num_threads(1)
    photos = hetero.prepare(
        hetero.DataConfig(kind="folder", path=str(options.photos)), hetero.Preprocessing(height=SIDE, width=SIDE)
    )
    done: dict[str, Any] = {}
    for name in options.networks:
        path = options.out / f"{name}.json"
        if not path.is_file():
            write_json(path, {**measure(name, photos, options), **where_and_when()})
        done[name] = read_json(path)
        print("\n".join(rows(name, done[name])), flush=True)
    print(json.dumps(where_and_when()), HEADER, *(row for name in done for row in rows(name, done[name])), sep="\n")
    for (format, precision), why in refused(FORMATS, list(COLUMNS)).items():
        print(f"{format} has no {precision}: {why}")
    reasons = [f"{name}: {reason}" for name, figures in done.items() for reason in figures[MISSING]]
    print(*reasons, sep="\n")
    return int(bool(reasons))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--networks", nargs="+", default=[*LITE, *OF_TIMM], choices=list(NETWORKS))
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--precisions", nargs="+", default=[each for column in COLUMNS.values() for each in column])
    parser.add_argument("--queries", type=int, default=100, help="test photos that search")
    parser.add_argument("--calibration", type=int, default=128, help="photos to choose int8 by")
    parser.add_argument("--out", type=Path, default=Path("runs/backbones"))
    return parser.parse_args()


def measure(name: str, photos: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Export one network, and say what each of its files is worth."""
    images = np.asarray(photos.train.images[:: max(1, len(photos.train.labels) // 256)])
    model = new_model(NETWORKS[name], torch.from_numpy(images))
    model.space = hetero.EmbeddingSpace.define(
        defined_by=weights_digest(model), name=name, version="1", dimension=DIMENSION
    )
    bundle = options.out / folder_of(name, int8=True)
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made) / "model"
        save_model(directory, model, {})
        retrieval, calibration = sets(from_directory(directory), photos, options)
        export = timed(
            lambda: export_model(
                directory,
                retrieval,
                bundle,
                formats=options.formats,
                precisions=options.precisions,
                calibration=calibration,
                goals={"int8": GOAL} if "int8" in options.precisions else {},
            )
        )
    manifest = read_bundle(bundle).manifest
    return {
        "network": {"macs": manifest.macs, "parameters": manifest.parameters, "side": SIDE},
        "queries": options.queries,
        "export": export,
        "files": measured(bundle),
        "torch": torch_figures(retrieval),
        MISSING: [f"{one.format} {one.precision}: {one.reason}" for one in manifest.missing],
    }


def sets(source: Any, photos: Any, options: argparse.Namespace) -> tuple[RetrievalSet, RetrievalSet]:
    """Test photos, evenly spread, and photos to calibrate with; the gallery is the network's own vectors."""
    test, images = photos.test, np.asarray(photos.test.images[:])
    every = np.arange(len(test.labels))
    query = np.unique(np.linspace(0, len(every) - 1, min(options.queries, len(every))).round().astype(np.int64))
    retrieval = RetrievalSet(
        images=images,
        labels=np.asarray(test.labels),
        cloud_embeddings=source.embed(images),
        tasks=(RetrievalTask("leave-one-out", query, every, exclude_self=True),),
        names=tuple(test.names),
        space=source.space,
    )
    train = photos.train
    nothing = np.zeros((len(train.labels), DIMENSION), np.float32)
    chosen = calibration_set(
        train.images, np.asarray(train.labels), nothing, source.space, without=images, most=options.calibration
    )
    return retrieval, replace(chosen, cloud_embeddings=source.embed(chosen.images))


def torch_figures(retrieval: RetrievalSet) -> dict[str, float]:
    from hetero.metrics import evaluate_tasks

    vectors = retrieval.cloud_embeddings
    result = evaluate_tasks(vectors, vectors, retrieval.labels, retrieval.tasks)
    return {metric: result.mean(metric) for metric in ("cmc@1", "map@r")}


HEADER = (
    "| network, torch's map@r | format | kB: fp32, fp16, int8 | smallest cosine | overlap@10 | change of map@r | ms |\n"
    + "|---" * 7
    + "|"
)


def rows(name: str, figures: dict[str, Any]) -> list[str]:
    """One row a format: figures of fp32, fp16 and int8 side by side."""
    by_file = {one["file"]: one for one in figures["files"]}
    lines: list[str] = []
    for format in FORMATS:
        files = [by_file.get(file, {}) if file else None for file in _files(format)]
        cells = (
            _cells(files, "bytes", lambda value: f"{value / 1000:,.0f}"),
            _cells(files, "cosine min", lambda value: f"{value:.5f}"),
            _cells(files, "overlap@10", lambda value: f"{value:.3f}"),
            _cells(files, "loss", lambda value: f"{-value:+.1%}"),
            _cells(files, "milliseconds", lambda value: "" if value is None else f"{value:.2f}"),
        )
        whole = f"{name}, {figures['torch']['map@r']:.3f}" if format == FORMATS[0] else ""
        lines.append(f"| {whole} | {format_called(format).title} | {' | '.join(cells)} |")
    return lines


def _files(format: str) -> list[str]:
    """For each column the file; empty where the format refuses the precision."""
    precisions = [[precision for _, precision in offered([format], column)][:1] for column in COLUMNS.values()]
    return [format_called(format).file_name(first[0]) if first else "" for first in precisions]


def _cells(files: list[dict[str, Any] | None], figure: str, text: Callable[[Any], str]) -> str:
    cells = ["-" if file is None else text(file[figure]) if figure in file else MISSING for file in files]
    return " ".join(cells).strip()


if __name__ == "__main__":
    sys.exit(main())
