"""What phones' accelerators take of each family of networks, file by file: partitions and share of the operators.

    python benchmarks/accelerators.py --out runs/accelerators

Networks are untrained, with estimated batch-norm statistics: the operators are those of trained ones. Each is exported
to ONNX and LiteRT as any model is, and the figures are those of its bundle's manifest; ``--int8`` adds int8, ``--left``
the operators that are left. Networks that were done before, also by ``benchmarks/backbones.py``, are not done again.

    python benchmarks/accelerators.py --time runs/demo/bundles/edge-s/bundle

Times a bundle's ONNX files on this processor as they are and with hard-swish written out, as NNAPI would need it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from benchmarks.networks import DIMENSION, NETWORKS, SIDE, folder_of, new_model  # noqa: E402
from benchmarks.search_exports import pictures  # noqa: E402
from export import RetrievalSet, Source, export_model, read_bundle  # noqa: E402
from export.bundle.accelerators import ACCELERATORS, AcceleratorFit  # noqa: E402
from export.kinds.precision import Precision  # noqa: E402
from hetero import EmbeddingSpace, ModelConfig  # noqa: E402
from hetero.metrics import RetrievalTask  # noqa: E402


def source_of(config: ModelConfig, space: EmbeddingSpace) -> Source:
    model = new_model(config, pictures(64, SIDE))
    model.space = space
    return Source("network", model, model.preprocessing, space, "0" * 64, model.pixels)


def images_of(space: EmbeddingSpace, places: range) -> RetrievalSet:
    """Pictures in pairs of one label, with vectors at random: nothing is judged by them here."""
    vectors = np.random.default_rng(places.start).normal(size=(len(places), DIMENSION)).astype(np.float32)
    half = len(places) // 2
    return RetrievalSet(
        images=pictures(places.stop, SIDE).numpy()[places],
        labels=np.arange(len(places)) % half,
        cloud_embeddings=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        tasks=(RetrievalTask("pairs", np.arange(half), np.arange(half, len(places))),),
        names=tuple(map(str, places)),
        space=space,
    )


def fits(config: ModelConfig, precisions: tuple[Precision, ...], out: Path) -> None:
    """Export a network, unless that was done."""
    if (out / "manifest.json").is_file():
        return
    space = EmbeddingSpace.define(defined_by="0" * 64, name="any", version="1", dimension=DIMENSION)
    export_model(
        source_of(config, space),
        images_of(space, range(16)),
        out,
        formats=("onnx", "litert"),
        precisions=precisions,
        calibration=images_of(space, range(16, 80)) if "int8" in precisions else None,
        goldens=8,
    )


def cell(found: dict[str, AcceleratorFit], name: str, *, left: bool) -> str:
    if name not in found:
        return ""
    fit = found[name]
    named = ", ".join(f"{breaker.operator} x {breaker.count}" for breaker in fit.breakers) if left else ""
    return f"{fit.partitions} ({fit.share:.1%})" + (f": {named}" if named else "")


def rows(name: str, bundle: Path, *, left: bool) -> list[str]:
    lines: list[str] = []
    for model in read_bundle(bundle).manifest.models:
        found = {fit.accelerator: fit for fit in model.accelerators}
        cells = " | ".join(cell(found, accelerator, left=left) for accelerator in ACCELERATORS)
        lines.append(f"| {name} | {model.format} {model.precision} | {cells} |")
    return lines


def written_out(path: Path) -> bytes:
    """Return a file with every hard-swish as ``x * relu6(x + 3) / 6``."""
    import onnx

    proto: Any = onnx.load(path)
    make, nodes = onnx.helper.make_node, list(proto.graph.node)
    del proto.graph.node[:]
    for node in nodes:
        if node.op_type != "HardSwish":
            proto.graph.node.append(node)
            continue
        (x,), (y,) = node.input, node.output
        added = make("Add", [x, "three."], [f"{y}.a"]), make("Clip", [f"{y}.a", "zero.", "six."], [f"{y}.b"])
        product = make("Mul", [x, f"{y}.b"], [f"{y}.c"]), make("Mul", [f"{y}.c", "sixth."], [y])
        proto.graph.node.extend([*added, *product])
    for name, value in {"zero.": 0, "three.": 3, "six.": 6, "sixth.": 1 / 6}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.float32), name))
    return proto.SerializeToString()


def best_ms(contents: list[bytes], rounds: int = 5, calls: int = 200) -> list[float]:
    """Return the least time of one image through each file on one thread, taking turns."""
    import onnxruntime

    sessions: list[Any] = []
    for content in contents:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        sessions.append(onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"]))
    (image,) = sessions[0].get_inputs()
    fed = {image.name: np.zeros(image.shape, np.uint8)}
    best = [float("inf")] * len(sessions)
    for _ in range(rounds):
        for place, session in enumerate(sessions):
            for _ in range(calls):
                started = time.perf_counter()
                session.run(None, fed)
                best[place] = min(best[place], time.perf_counter() - started)
    return [1e3 * value for value in best]


def time_hard_swish(bundle: Path) -> None:
    for precision in ("fp32", "int8"):
        path = bundle / f"model.{precision}.onnx"
        as_is, expanded = best_ms([path.read_bytes(), written_out(path)])
        print(f"{precision}: {as_is:.3f} ms, hard-swish written out {expanded:.3f} ms ({expanded / as_is:.2f} times)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--int8", action="store_true", help="export int8, too: minutes a network")
    parser.add_argument("--left", action="store_true", help="say which operators are left")
    parser.add_argument("--out", type=Path, default=Path("runs/accelerators"))
    parser.add_argument("--time", type=Path, metavar="BUNDLE", help="time hard-swish instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.time:
        print(json.dumps(where_and_when()))
        time_hard_swish(options.time)
        return
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8") if options.int8 else ("fp32", "fp16")
    lines = [f"| network | file | {' | '.join(ACCELERATORS)} |", "|---" * (2 + len(ACCELERATORS)) + "|"]
    for name in options.networks:
        out = options.out / folder_of(name, int8=options.int8)
        fits(NETWORKS[name], precisions, out)
        lines += rows(name, out, left=options.left)
    print(json.dumps(where_and_when()), "\n".join(lines), sep="\n\n")


if __name__ == "__main__":
    main()
