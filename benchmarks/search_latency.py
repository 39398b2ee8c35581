"""Does the latency table rank whole networks as a stopwatch does?

Draws networks from a search space, converts each as a whole, times them and predicts them from the table of operators.
Operators and networks are timed in turns, sweep after sweep, each by the least of many runs, one thread; so a machine
that does other things slows both.

    python benchmarks/search_latency.py --networks 50 --out latency.json
"""

from __future__ import annotations

import argparse
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
from device_tests.latency import measure_latency  # noqa: E402
from device_tests.stopwatch import RUNTIMES, least_milliseconds  # noqa: E402
from export.converter import Job, load_converter  # noqa: E402
from export.program import capture  # noqa: E402
from hetero.models.config import ModelConfig  # noqa: E402
from hetero.models.model import EmbeddingModel  # noqa: E402
from hetero.preprocessing import Preprocessing  # noqa: E402
from hetero.search.cost import network_costs  # noqa: E402
from hetero.search.latency_table import LatencyTable, RuntimeTable  # noqa: E402
from hetero.search.layers import layers_of  # noqa: E402
from hetero.search.space_file import built_in_space, load_space  # noqa: E402


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
    job = Job({"hetero.version": "0", "hetero.model": "candidate"}, preprocessing.height, preprocessing.width, {}, None)
    files: dict[str, Path] = {}
    for number, config in enumerate(tqdm(configs, desc=f"networks for {RUNTIMES[format]}", unit="file")):
        model = EmbeddingModel("candidate", config, preprocessing).eval()
        example = torch.zeros((1, preprocessing.height, preprocessing.width, 3), dtype=torch.uint8)
        files[str(number)] = folder / f"{number}{converter.suffix}"
        converter.write(converter.prepare(capture(model, example), job), "fp32", files[str(number)])
    return files


def least(tables: list[LatencyTable]) -> LatencyTable:
    """The least of several measurements of the same operators."""
    measured = {
        runtime: RuntimeTable(
            tables[0].measured[runtime].version,
            min(table.measured[runtime].call_ms for table in tables),
            {
                name: min(table.measured[runtime].operators[name] for table in tables)
                for name in tables[0].measured[runtime].operators
            },
        )
        for runtime in tables[0].runtimes
    }
    return LatencyTable(tables[0].target, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="demo", help="a built-in search space, or a TOML file")
    parser.add_argument("--side", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--sweeps", type=int, default=5)
    parser.add_argument("--formats", nargs="+", default=["onnx", "litert"], choices=list(RUNTIMES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the result here")
    options = parser.parse_args()
    space = load_space(Path(options.space)) if options.space.endswith(".toml") else built_in_space(options.space)
    preprocessing = Preprocessing(height=options.side, width=options.side)
    rng = np.random.default_rng(options.seed)
    configs = [space.config(space.sample(rng)) for _ in range(options.networks)]
    layers = [list(layers_of(config, preprocessing)) for config in configs]
    everything = [layer for network in layers for layer in network]
    macs = [network_costs(config, preprocessing, None)["macs"] for config in configs]
    result: dict[str, Any] = {**where_and_when(), **{k: v for k, v in vars(options).items() if k != "out"}}
    with tempfile.TemporaryDirectory() as folder:
        for format in options.formats:
            runtime = RUNTIMES[format]
            files = converted(configs, preprocessing, format, Path(folder))
            tables: list[LatencyTable] = []
            whole: list[dict[str, float]] = []
            for _ in range(options.sweeps):
                tables.append(measure_latency(everything, [format], sweeps=1))
                whole.append(least_milliseconds(files, runtime, sweeps=1))
            table = least(tables)
            measured = [min(sweep[name] for sweep in whole) for name in files]
            predicted = [table.predict(network, runtime) for network in layers]
            result[runtime] = {
                "version": table.measured[runtime].version,
                "operators": len(table.measured[runtime].operators),
                "spearman": round(spearman(predicted, measured), 4),
                "spearman_macs": round(spearman(macs, measured), 4),
                "median_ratio": round(float(np.median(np.divide(predicted, measured))), 3),
                "milliseconds": [round(min(measured), 4), round(max(measured), 4)],
                "points": [[round(p, 5), round(m, 5)] for p, m in zip(predicted, measured, strict=True)],
            }
    measured = [RUNTIMES[format] for format in options.formats]
    shown = {runtime: {k: v for k, v in result[runtime].items() if k != "points"} for runtime in measured}
    print(json.dumps({**result, **shown}, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
