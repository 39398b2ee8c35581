"""Export a trained student into every format and precision, and say what each file is worth.

    python benchmarks/export.py RUN STUDENT --recipe demo --json export.json

Per file: size, cosine with torch on the test queries, asymmetric cmc@1 and map@r against the cloud's gallery, processor
time of one image with one thread on this machine. Core ML files run in the reference executor; what it cannot run is
``not verified``. Also the wall and processor time and the peak memory of the export, and of bare converters called by
hand in one script (``export_bare.py``) for the same files without any check or search.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parent.parent
# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(ROOT)

import numpy as np  # noqa: E402
from jaxtyping import Float32, UInt8  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks.machine import timed, where_and_when  # noqa: E402
from export.formats import FORMATS  # noqa: E402
from export.kinds.precision import PRECISIONS  # noqa: E402
from hetero.display.wording import change_in_words  # noqa: E402

_LATENCIES = 100


def main() -> None:
    options = _options()
    from hetero.pipeline.context import Context
    from hetero.pipeline.draft import recipe_called
    from hetero.pipeline.export_sets import calibration_set, retrieval_set

    if options.bundle:
        figures = {"files": measured(options.bundle)}
        print(_table(figures["files"]))
        _write(options, figures)
        return
    recipe = recipe_called(Path(options.recipe), data=options.data)
    context = Context(recipe, options.run)
    retrieval = retrieval_set(context)
    calibration = calibration_set(context, retrieval.images)
    with tempfile.TemporaryDirectory() as made:
        figures = _measure(options, retrieval, calibration, Path(made))
    print(_table(figures["files"]))
    print(json.dumps({name: value for name, value in figures.items() if name != "files"}, indent=2))
    _write(options, figures)


def _write(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    if options.json:
        text = json.dumps({**where_and_when(), "student": options.student, **figures}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("student")
    parser.add_argument("--recipe", default="demo", help="a built-in recipe's name, or a TOML file")
    parser.add_argument("--data", type=Path, help="the data, where the recipe does not say")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--tuned", type=Path, help="make full int8 from this model, fine-tuned for it")
    parser.add_argument("--bundle", type=Path, help="measure this bundle instead of exporting one")
    parser.add_argument("--out", type=Path, help="keep the bundle here")
    parser.add_argument("--bare", action="store_true", help="time the bare converters, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.bare and (len(options.formats), len(options.precisions)) != (len(FORMATS), len(PRECISIONS)):
        parser.error("the bare converters make every file; leave --formats and --precisions out")
    if "fp32" not in options.precisions:
        parser.error("sizes are shares of fp32's: name it among the precisions")
    return options


def _measure(options: argparse.Namespace, retrieval: Any, calibration: Any, made: Path) -> dict[str, Any]:
    from export import export_model, read_bundle

    directory = options.run / "students" / options.student
    figures: dict[str, Any] = {}
    if options.bare:
        np.save(made / "calibration.npy", calibration.images[:64])
        script = [sys.executable, str(ROOT / "benchmarks" / "export_bare.py"), str(directory), str(made)]
        figures["bare"] = timed(lambda: subprocess.run(script, check=True, stdout=sys.stderr, cwd=ROOT))
    out = options.out or made / "bundle"
    figures["export"] = timed(
        lambda: export_model(
            directory, retrieval, out,
            formats=options.formats, precisions=options.precisions, calibration=calibration, tuned=options.tuned,
        )
    )  # fmt: skip
    if options.bare:
        for clock in ("seconds", "processor_seconds"):
            figures[f"export over bare, {clock}"] = round(figures["export"][clock] / figures["bare"][clock], 2)
    bundle = read_bundle(out)
    figures["macs"] = bundle.manifest.macs
    figures["missing"] = [vars(one) for one in bundle.manifest.missing]
    figures["files"] = measured(out)
    return figures


def measured(path: Path) -> list[dict[str, Any]]:
    from export import read_bundle

    bundle = read_bundle(path)
    return [_file(bundle, model) for model in tqdm(bundle.manifest.models, desc="measuring", unit="file")]


def _file(bundle: Any, model: Any) -> dict[str, Any]:
    from export.conversion.worker import cosines
    from hetero import InputError
    from hetero.metrics import evaluate_tasks, overlap
    from hetero.metrics.top_overlap import nearest

    goldens = bundle.goldens
    rows = goldens.query_rows
    figures: dict[str, Any] = {
        "file": model.file,
        "bytes": model.size,
        "of fp32": round(model.size / bundle.model(model.format, "fp32").size, 3),
        "calibration loss": model.calibration_loss,
        "quantisation": asdict(model.quantisation) if model.quantisation else None,
    }
    try:
        vectors, milliseconds = _run(bundle, model, goldens.retrieval_images[rows])
    except InputError as error:
        return figures | {"not verified": str(error)}
    found = cosines(vectors, goldens.retrieval_student[rows])
    whole = goldens.retrieval_student.copy()
    torch_figures = evaluate_tasks(whole, goldens.retrieval_cloud, goldens.retrieval_labels, goldens.tasks)
    torch_neighbours = nearest(whole, goldens.retrieval_cloud, goldens.tasks)
    whole[rows] = vectors
    result = evaluate_tasks(whole, goldens.retrieval_cloud, goldens.retrieval_labels, goldens.tasks)
    neighbours = nearest(whole, goldens.retrieval_cloud, goldens.tasks)
    return figures | {
        "cosine min": float(found.min()),
        "cosine mean": float(found.mean()),
        "cmc@1": result.mean("cmc@1"),
        "map@r": result.mean("map@r"),
        "overlap@10": float(np.mean(np.concatenate(overlap(neighbours, torch_neighbours)))),
        "loss": 1 - result.mean("map@r") / torch_figures.mean("map@r"),
        "milliseconds": milliseconds,
    }


def _run(
    bundle: Any, model: Any, images: UInt8[np.ndarray, "n h w 3"]
) -> tuple[Float32[np.ndarray, "n d"], float | None]:
    """Vectors of the images, and the median milliseconds of one on a processor; None for a reference executor."""
    from export.formats.converter import load_converter

    path = bundle.file(model)
    if model.format == "coreml":
        return _coreml(path, images, model.precision), None
    run: Any = load_converter(model.format).run
    times: list[float] = []
    run(path, images[:_LATENCIES])
    for count in (1, _LATENCIES + 1) * 3:
        start = time.process_time()
        run(path, np.repeat(images[:1], count, axis=0))
        times.append(time.process_time() - start)
    # Loading happens in both, so that the difference is the images alone.
    each = [(many - one) / _LATENCIES for one, many in zip(times[::2], times[1::2], strict=True)]
    return run(path, images), round(1e3 * float(np.median(each)), 3)


def _coreml(path: Path, images: UInt8[np.ndarray, "n h w 3"], precision: str) -> Float32[np.ndarray, "n d"]:
    from device_tests.runtimes.coreml import load

    model = load(path, "float32" if precision == "fp32" else "float16")
    return model.predict({"image": images})["embedding"]


def _table(files: list[dict[str, Any]]) -> str:
    lines = [
        "| file | KB | of fp32 | cosine min / mean | cmc@1 | map@r | change | ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in files:
        size = f"| `{one['file']}` | {one['bytes'] / 1000:.0f} | {one['of fp32']:.2f} |"
        if "not verified" in one:
            lines.append(f"{size} not verified | | | | |")
            continue
        speed = "" if one["milliseconds"] is None else f"{one['milliseconds']:.2f}"
        lines.append(
            f"{size} {one['cosine min']:.5f} / {one['cosine mean']:.5f} | {one['cmc@1']:.4f} | {one['map@r']:.4f} | "
            f"{change_in_words(one['loss'], digits=2, percent=True)} | {speed} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
