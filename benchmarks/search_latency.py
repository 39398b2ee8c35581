"""Does the latency table rank whole networks as a stopwatch does?

Draws networks from a search space, converts each as a whole, times them and predicts them from the table of operators.
Operators and networks are timed in turns, sweep after sweep, one thread; a machine that does other things slows both.
Of each, the least over sweeps counts, as in a latency table; the result has the medians over sweeps, too. Beside the
table's correlation stands the stopwatch's with itself: whole networks in every other sweep against the sweeps between.

    python benchmarks/search_latency.py --networks 50 --sweeps 5 --out latency.json
    python benchmarks/search_latency.py --networks 50 --sweeps 1 --target phone-system:count
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from device_tests.latency.measure import nothing, runtime_table  # noqa: E402
from device_tests.latency.stopwatch import swept  # noqa: E402
from device_tests.targets.registry import stopwatch  # noqa: E402
from export.capture.program import capture  # noqa: E402
from export.formats import TIMED  # noqa: E402
from export.formats.converter import ConversionJob, load_converter  # noqa: E402
from export.formats.operators import operator_files  # noqa: E402
from export.kinds.registry import engines_on, format_called  # noqa: E402
from hetero import (  # noqa: E402
    EmbeddingModel,
    ModelConfig,
    Preprocessing,
)
from hetero.files import write_json  # noqa: E402
from hetero.nas import LatencyTable  # noqa: E402
from hetero.nas.cost.cost import network_costs  # noqa: E402
from hetero.nas.cost.latency_table import Unit  # noqa: E402
from hetero.nas.cost.layers import Layer, layers_of  # noqa: E402
from hetero.nas.space.file import space_called  # noqa: E402

RUNTIMES = engines_on("phone")


def ranks(values: list[float]) -> np.ndarray:
    """Ranks from 0; equal values share their mean rank."""
    array = np.asarray(values)
    return np.array([(array < one).sum() + ((array == one).sum() - 1) / 2 for one in array])


def spearman(one: list[float], other: list[float]) -> float:
    """Spearman's rank correlation."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def converted(configs: list[ModelConfig], preprocessing: Preprocessing, format: Any, folder: Path) -> dict[str, Path]:
    """Every network as a float32 file, made as `hetero export` makes it."""
    converter = load_converter(format)
    job = ConversionJob(
        {"hetero.version": "0", "hetero.model": "candidate"}, preprocessing.height, preprocessing.width, {}, None
    )
    files: dict[str, Path] = {}
    for number, config in enumerate(tqdm(configs, desc=f"networks for {RUNTIMES[format]}", unit="file")):
        model = EmbeddingModel("candidate", config, preprocessing).eval()
        example = torch.zeros((1, preprocessing.height, preprocessing.width, 3), dtype=torch.uint8)
        files[str(number)] = folder / f"{number}{format_called(format).suffix}"
        converter.write(converter.prepare(capture(model, example), job), "fp32", files[str(number)])
    return files


def compared(
    format: str,
    networks: list[list[Layer]],
    times: dict[str, list[float]],
    names: list[str],
    version: str,
    unit: Unit,
) -> dict[str, Any]:
    """Predictions against measurements, by the least and by the median over sweeps."""
    found: dict[str, Any] = {}
    operators = times.keys() - set(names)
    for how, over in (("least", np.min), ("median", np.median)):
        table = runtime_table(version, unit, {name: float(over(times[name])) for name in operators})
        runtime = RUNTIMES[format]
        predicted = [LatencyTable({}, {runtime: table}, unit).predict(network, runtime) for network in networks]
        # A millisecond is a million instructions where these are counted.
        scale = 1e6 if unit == "instructions" else 1.0
        measured = [scale * float(over(times[name])) for name in names]
        found[how] = {
            "spearman": round(spearman(predicted, measured), 4),
            "median_ratio": round(float(np.median(np.divide(predicted, measured))), 3),
            unit: [round(min(measured), 4), round(max(measured), 4)],
            "call": table.call,
            "points": [[round(p, 5), round(m, 5)] for p, m in zip(predicted, measured, strict=True)],
        }
    return {"version": table.version, "operators": len(table.operators), **found}


def repeatability(times: dict[str, list[float]], names: list[str]) -> float | None:
    """Spearman's correlation of the networks' least times in every other sweep with those in the sweeps between."""
    even, odd = ([min(times[name][start::2], default=0.0) for name in names] for start in (0, 1))
    return round(spearman(even, odd), 4) if len(times[names[0]]) > 1 else None


def _advance(bar: tqdm[Any]) -> None:
    bar.update()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="demo", help="a built-in search space, or a TOML file")
    parser.add_argument("--side", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--target", default="desktop", help="desktop, adb:SERIAL or phone-system:count")
    parser.add_argument("--sweeps", type=int, default=5)
    parser.add_argument("--formats", nargs="+", default=list(TIMED), choices=TIMED)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the result here")
    options = parser.parse_args()
    space = space_called(options.space)
    preprocessing = Preprocessing(height=options.side, width=options.side)
    rng = np.random.default_rng(options.seed)
    configs = [space.config(space.sample(rng)) for _ in range(options.networks)]
    networks = [list(layers_of(config, preprocessing)) for config in configs]
    macs = [network_costs(config, preprocessing, None)["macs"] for config in configs]
    result: dict[str, Any] = {**where_and_when(), **{k: v for k, v in vars(options).items() if k != "out"}}
    target = stopwatch(options.target)
    target.set_up()
    unit: Unit = "instructions" if target.counting else "latency_ms"
    with contextlib.closing(target), tempfile.TemporaryDirectory() as folder:
        for format in options.formats:
            files = converted(configs, preprocessing, format, Path(folder))
            everything = [layer for network in networks for layer in network]
            files |= operator_files(everything, format, lambda _: None, extra=[nothing()])
            with tqdm(total=options.sweeps * len(files), desc=f"timing on {RUNTIMES[format]}", unit="run") as bar:
                times, version = swept(
                    target, files, RUNTIMES[format], sweeps=options.sweeps, advance=lambda: _advance(bar)
                )
            names = list(files)[: len(configs)]
            result[RUNTIMES[format]] = {
                **compared(format, networks, times, names, version, unit),
                "stopwatch_with_itself": repeatability(times, names),
                "macs_spearman": round(spearman(macs, [min(times[name]) for name in names]), 4),
            }
            if options.out:
                write_json(options.out, result)
    for runtime in (RUNTIMES[format] for format in options.formats):
        for how in ("least", "median"):
            del result[runtime][how]["points"]
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
