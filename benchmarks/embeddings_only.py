"""Is a file of embeddings enough? Train a demo student from nothing else, beside the one that had the cloud model.

    python benchmarks/embeddings_only.py runs/seeds/0 runs/seeds/1 runs/seeds/2

For each finished demo run, the embeddings of its training and validation images go to a file of their own, a student of
the recipe is trained from that file (no cloud weights, no head), and both query the cloud's gallery. With
`--without-validation` the file lacks the validation images too: weights are then chosen by the student's own figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import hetero
from hetero import aligned
from hetero.files import read_json
from hetero.metrics import difference_interval
from hetero.pipeline.context import Context
from hetero.pipeline.draft import built_in


def compare(run: Path, student: str, *, validation: bool) -> dict[str, object]:
    """cmc@1 against the cloud gallery of the run's student and of one trained from the file."""
    recipe = built_in("demo")
    seed = int(read_json(run / "matrix.json")["seed"])
    dataset = Context(dataclasses.replace(recipe, seed=seed), run).with_copies
    stored = hetero.load_embeddings(run / "cloud" / "embeddings.safetensors")
    config = next(one for one in recipe.students if one.name == student)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "given.safetensors"
        sets = (dataset.train, dataset.validation) if validation else (dataset.train,)
        names = [name for one in sets for name in one.names]
        hetero.save_embeddings(file, np.concatenate([aligned(stored, one) for one in sets]), names, stored.space)
        cloud = hetero.CloudReference.from_file(file, dataset)
        trained = hetero.train_student(
            dataset, cloud, config, recipe.preprocessing, Path(directory) / "model", seed=seed
        )
    gallery, labels = aligned(stored, dataset.test), np.asarray(dataset.test.labels)
    results = [
        hetero.metrics.evaluate_tasks(
            hetero.embed_images(model, dataset.test.images), gallery, labels, dataset.test_tasks
        )
        for model in (hetero.load_model(run / "students" / student), trained)
    ]
    at_hand, from_file = (result.mean("cmc@1") for result in results)
    values = [result.per_query("cmc@1") for result in results]
    interval = difference_interval(values[1], values[0], clusters=results[0].labels, seed=seed)
    return {
        "seed": seed,
        "at_hand": at_hand,
        "from_file": from_file,
        "difference": [interval.value, interval.low, interval.high],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="finished demo runs, of different seeds")
    parser.add_argument("--student", default="edge-m")
    parser.add_argument("--without-validation", action="store_true")
    options = parser.parse_args()
    rows = [compare(run, options.student, validation=not options.without_validation) for run in options.runs]
    for key in ("at_hand", "from_file"):
        values = [float(str(row[key])) for row in rows]
        print(f"{key}: mean {mean(values):.4f}" + (f", sd {stdev(values):.4f}" if len(values) > 1 else ""))
    print(
        json.dumps(
            {"runs": rows, "machine": platform.machine(), "date": datetime.now(UTC).date().isoformat()}, indent=2
        )
    )


if __name__ == "__main__":
    main()
