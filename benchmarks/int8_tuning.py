"""What fine-tuning for int8 gives: full int8 of a student before and after it, in ONNX and LiteRT.

    python benchmarks/int8_tuning.py RUN STUDENT --recipe demo --steps 200 --work tuned

Both are quantised with ranges from the same calibration images, for each number of scales, and search the cloud's
gallery with the test queries. Losses are against the float32 student before fine-tuning. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
from jaxtyping import Float32  # noqa: E402

from export import (  # noqa: E402
    RetrievalSet,
    Source,
    from_directory,
)
from export.bundle.quantisation import Calibrator, Scales  # noqa: E402
from export.capture.program import capture  # noqa: E402
from export.conversion.worker import cosines  # noqa: E402
from export.formats.converter import ConversionJob  # noqa: E402
from export.formats.litert import convert as litert  # noqa: E402
from export.formats.litert.int8 import LiteRtQuantiser  # noqa: E402
from export.formats.onnx import convert as onnx  # noqa: E402
from export.formats.onnx.int8 import OnnxQuantiser  # noqa: E402
from export.precision.calibration import Calibration, make_calibration  # noqa: E402
from export.precision.choose import Choice  # noqa: E402
from hetero import CloudReference  # noqa: E402
from hetero.display.wording import change_in_words  # noqa: E402
from hetero.metrics import evaluate_tasks  # noqa: E402
from hetero.pipeline.context import Context  # noqa: E402
from hetero.pipeline.draft import recipe_called  # noqa: E402
from hetero.pipeline.export_sets import calibration_set, retrieval_set  # noqa: E402
from hetero.training.quantization_aware import tune_for_int8  # noqa: E402


def main() -> None:
    options = _options()
    recipe = recipe_called(Path(options.recipe), data=options.data)
    context = Context(recipe, options.run)
    retrieval = retrieval_set(context)
    chosen = calibration_set(context, retrieval.images)
    _tune(context, options)
    student = from_directory(context.student(options.student))
    sources = {"before": student, "after": from_directory(options.work)}
    whole = _figure(retrieval, student.embed(retrieval.images))
    print(f"float32: before {whole:.4f}", end="")
    print(f", after {_figure(retrieval, sources['after'].embed(retrieval.images)):.4f}")
    print(
        "| format | scales | fine-tuning | cosine with torch, min / mean | map@r | change |\n|---|---|---|---|---|---|"
    )
    for when, source in sources.items():
        calibration = make_calibration(chosen, retrieval, source.space, source.embed)
        for format, scales, vectors in _int8(source, calibration, retrieval, options.calibrator, options.formats):
            found = cosines(vectors, source.embed(retrieval.images))
            figure = _figure(retrieval, vectors)
            print(
                f"| {format} | {scales} | {when} | {found.min():.5f} / {found.mean():.5f} | {figure:.4f} | "
                f"{change_in_words(1 - figure / whole, digits=2, percent=True)} |",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("student")
    parser.add_argument("--recipe", default="demo", help="a built-in recipe's name, or a TOML file")
    parser.add_argument("--data", type=Path, help="the data, where the recipe does not say")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--calibrator", default="percentile", choices=get_args(Calibrator))
    parser.add_argument("--formats", nargs="+", default=["onnx", "litert"], choices=["onnx", "litert"])
    parser.add_argument("--work", type=Path, required=True, help="the tuned model's directory")
    return parser.parse_args()


def _tune(context: Context, options: argparse.Namespace) -> None:
    recipe = context.recipe
    config = next(one for one in recipe.students if one.name == options.student)
    dataset = context.with_copies
    cloud = CloudReference.from_directory(context.cloud, dataset, live=config.live)
    student = context.student(options.student)
    tune_for_int8(dataset, cloud, config, student, options.work, steps=options.steps, seed=recipe.seed)


def _int8(
    source: Source,
    calibration: Calibration,
    retrieval: RetrievalSet,
    calibrator: Calibrator,
    formats: Sequence[str],
) -> Iterator[tuple[str, Scales, Float32[np.ndarray, "n d"]]]:
    """Vectors of all retrieval images by every int8 file."""
    program = capture(source.module, source.example)
    job = ConversionJob(source.describe(), source.preprocessing.height, source.preprocessing.width, {}, calibration)
    for format in formats:
        if format == "onnx":
            quantiser: Any = OnnxQuantiser(onnx.prepare(program, job).proto, calibration)
        else:
            quantiser = LiteRtQuantiser(litert.prepare(program, job).content, calibration)
        for scales in get_args(Scales):
            content = quantiser.quantise(Choice(calibrator, scales), calibration.range_rows)
            if format == "onnx":
                yield format, scales, onnx.embed(content, retrieval.images, exact=True)
            else:
                yield format, scales, litert.embed(content, retrieval.images)


def _figure(retrieval: RetrievalSet, vectors: Float32[np.ndarray, "n d"]) -> float:
    """Asymmetric map@r on the test images, mean over tasks."""
    return evaluate_tasks(vectors, retrieval.cloud_embeddings, retrieval.labels, retrieval.tasks).mean("map@r")


if __name__ == "__main__":
    main()
