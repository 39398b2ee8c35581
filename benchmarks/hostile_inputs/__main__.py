"""Hand 10,000 hostile inputs to the product, and count what became of each.

    python -m benchmarks.hostile_inputs --json hostile.json
    python -m benchmarks.hostile_inputs --only images --share 0.1

Input and seed are one number, so that each can be made again: ``--only KIND --first NUMBER --share 0`` tries one alone.
Ends with status 1 when there is a finding. Needs Linux.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.hostile_inputs import bundles, models, pictures, tables, vectors
from benchmarks.hostile_inputs.trial import MEMORY_BYTES, Count, Start, try_inputs
from benchmarks.machine import where_and_when


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: For people.
        start: Prepares a worker.
        inputs: How many there are.
        limit_seconds: That one may take.
    """

    name: str
    start: Start
    inputs: int
    limit_seconds: float


KINDS = (
    Kind("bundles", bundles.bundles, 3000, 30),
    Kind("ONNX files", models.onnx, 1500, 30),
    Kind("LiteRT files", models.litert, 1500, 30),
    Kind("Core ML packages", models.coreml, 1000, 30),
    Kind("embeddings", vectors.embeddings, 1000, 10),
    Kind("CSV and recipes", tables.tables, 1000, 10),
    Kind("images", pictures.pictures, 1000, 10),
)
_HEADS = ("inputs", "refused", "right", "crashes", "tracebacks", "wrong", "hangs", "orphans", "s", "slowest, s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in KINDS])
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs of each kind; at least one")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    counts: dict[str, Count] = {}
    print(f"{'':18}" + "".join(f"{head:>11}" for head in _HEADS))
    for kind in KINDS:
        if options.only and kind.name not in options.only:
            continue
        numbers = range(options.first, options.first + max(1, round(options.share * kind.inputs)))
        with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as folder:
            counts[kind.name] = try_inputs(kind.start, numbers, Path(folder), kind.limit_seconds)
        print(f"{kind.name:18}" + "".join(f"{value:>11,}" for value in _row(counts[kind.name])), flush=True)
        print("".join(f"  {finding}\n" for finding in counts[kind.name].findings), end="", flush=True)
    if options.json:
        limits = {"bytes": MEMORY_BYTES, "seconds": {kind.name: kind.limit_seconds for kind in KINDS}}
        told = {name: dataclasses.asdict(count) for name, count in counts.items()}
        text = json.dumps({**where_and_when(), "limits": limits, "first": options.first, "kinds": told}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    sys.exit(any(count.findings or count.orphans for count in counts.values()))


def _row(count: Count) -> tuple[float, ...]:
    answers = count.answers
    failures = (count.crashes, count.tracebacks, answers["wrong"], count.hangs, count.orphans)
    return (
        count.inputs,
        answers["refused"],
        answers["right"],
        *failures,
        round(count.seconds),
        round(count.slowest, 1),
    )


if __name__ == "__main__":
    main()
