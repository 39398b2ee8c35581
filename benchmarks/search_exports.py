"""Random points of a search space, exported to ONNX, LiteRT and Core ML in float32: does each file agree with torch?

    python benchmarks/search_exports.py --points 200 --kinds inverted_residual shuffle --out runs/search-exports

Each point is a model of its own with new weights and estimated batch-norm statistics; a file agrees when no coordinate
of the unit vectors of 8 images is off by more than 1e-4. ONNX and LiteRT files run on their own runtimes, Core ML
packages on the reference executor. Points that were done before are not done again. Exits with 1 when a point fails.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from device_tests.runtimes import coreml  # noqa: E402
from export.capture.program import capture  # noqa: E402
from export.formats.converter import ConversionJob, load_converter  # noqa: E402
from export.kinds.interface import INPUT, OUTPUT  # noqa: E402
from export.kinds.registry import format_called  # noqa: E402
from hetero import (  # noqa: E402
    EmbeddingModel,
    Preprocessing,
)
from hetero.files import read_json, write_json  # noqa: E402
from hetero.models.batch_norm import estimate_statistics  # noqa: E402
from hetero.nas import (  # noqa: E402
    Architecture,
    SearchSpace,
)
from hetero.nas.space.file import space_called  # noqa: E402

LARGEST_DIFFERENCE = 1e-4
METADATA = {"hetero.model": "point", "hetero.version": "1"}


def pictures(count: int, side: int) -> torch.Tensor:
    """Soft coloured spots: uint8 [count, side, side, 3]."""
    rough = torch.rand((count, 3, 5, 5), generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(rough, (side, side), mode="bicubic").clamp(0, 1)
    return (smooth.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).contiguous()


def new_model(space: SearchSpace, point: Architecture, side: int) -> EmbeddingModel:
    torch.manual_seed(0)
    model = EmbeddingModel("point", space.config(point), Preprocessing(height=side, width=side))
    estimate_statistics(model, pictures(64, side))
    return model


def run(kind: str, path: Path, images: np.ndarray) -> np.ndarray:
    if kind == "coreml":
        return coreml.load(path).run({INPUT: images}).outputs[OUTPUT]
    embed = load_converter(kind).run
    assert embed is not None
    return embed(path, images)


def check(model: EmbeddingModel, formats: list[str], side: int) -> dict[str, Any]:
    """For each format the largest difference from torch and the seconds that it took, or what went wrong."""
    images = pictures(8, side)
    with torch.no_grad():
        expected = model(images).numpy()
    found: dict[str, Any] = {}
    for kind in formats:
        started, converter = time.process_time(), load_converter(kind)
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"point{format_called(kind).suffix}"
                job = ConversionJob(METADATA, side, side, goals={}, calibration=None)
                converter.write(converter.prepare(capture(model, images[:1]), job), "fp32", path)
                difference = float(np.abs(run(kind, path, images.numpy()) - expected).max())
            found[kind] = {"difference": difference, "agrees": difference <= LARGEST_DIFFERENCE}
        except Exception as error:  # each converter raises its own kinds, and the next point is to be tried
            found[kind] = {"error": f"{type(error).__name__}: {str(error)[:500]}", "agrees": False}
        found[kind]["cpu_seconds"] = round(time.process_time() - started, 1)
    return found


def table(done: dict[str, Any], formats: list[str]) -> str:
    lines = ["| format | points | agree | largest difference | CPU seconds a point |", "|---|---|---|---|---|"]
    for kind in formats:
        rows = [one["formats"][kind] for one in done.values() if kind in one["formats"]]
        largest = max((row.get("difference", float("inf")) for row in rows), default=float("nan"))
        seconds = float(np.mean([row["cpu_seconds"] for row in rows])) if rows else float("nan")
        agree = sum(row["agrees"] for row in rows)
        lines.append(f"| {kind} | {len(rows)} | {agree} | {largest:.1e} | {seconds:.1f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--space", default="demo", help="built-in space, or a TOML file")
    parser.add_argument("--kinds", nargs="+", default=[], help="of blocks, instead of the space's")
    parser.add_argument("--formats", nargs="+", default=["onnx", "litert", "coreml"])
    parser.add_argument("--side", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/search-exports"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = space_called(options.space)
    space = dataclasses.replace(space, kind=tuple(options.kinds or space.kind))
    rng, path = np.random.default_rng(options.seed), options.out / "points.json"
    points = [space.sample(rng) for _ in range(options.points)]
    done: dict[str, Any] = read_json(path)["points"] if path.is_file() else {}
    here = where_and_when()
    for point in tqdm(points, desc="exporting", unit="point"):
        known: dict[str, Any] = done.get(point.digest, {"formats": {}})["formats"]
        missing = [kind for kind in options.formats if kind not in known]
        if missing:
            known |= check(new_model(space, point, options.side), missing, options.side)
            done[point.digest] = {"architecture": point.to_dict(), "formats": known}
            write_json(path, {"points": done, "side": options.side, **here})
    asked = {point.digest: done[point.digest] for point in points}
    print(json.dumps(here), table(asked, options.formats), sep="\n\n")
    return int(not all(one["formats"][kind]["agrees"] for one in asked.values() for kind in options.formats))


if __name__ == "__main__":
    sys.exit(main())
