"""Text queries in galleries of students, on a small honest space of pictures and words: emoji and their Unicode names.

The cloud and the students are those of a finished run of the recipe ``demo``. The text tower is that of
:mod:`hetero.text.fitting`, fitted on the training emoji, with the penalty that does best on the validation emoji; its
vectors of the test emoji's names query 1,245 pictures of emoji that neither tower has seen. Students are trained once
more with ``text_affinity``.

    python -m benchmarks.text_queries --run runs/demo --out runs/text --students edge-m --seeds 0 1
    python -m benchmarks.text_queries --run runs/demo --out runs/text --students edge-m --verify

The second form gives the run's bundles golden texts, and asks the rung of texts on this desktop, also with faults.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

import hetero
from benchmarks.machine import where_and_when
from device_tests import Gates
from device_tests.faults.catalogue import FAULTS
from device_tests.faults.trial import try_fault
from device_tests.faults.variants import copy_changed
from device_tests.ladder.climb import check_model
from device_tests.ladder.running import Job
from device_tests.targets.registry import target
from export import read_bundle
from export.bundle.golden_texts import texts_entry
from export.bundle.manifest import GOLDENS, SPACE
from hetero.data.sources.emoji import unicode_names
from hetero.evaluation.roles import chance_of_texts, image_to_text, text_to_image
from hetero.files import write_json
from hetero.metrics.paired import share_interval
from hetero.pipeline.context import Context
from hetero.pipeline.draft import built_in
from hetero.pipeline.export_sets import retrieval_of
from hetero.text.described import DescribedImages
from hetero.text.fitting import PENALTIES, fit_tower

TERM = hetero.ObjectiveConfig("text_affinity", 3.0)
METHODS = {"default": (), "text_affinity": (TERM,)}
CONTROL = "control"


def named(stored: Any, images: hetero.ImageSet) -> tuple[list[str], Float32[np.ndarray, "k d"]]:
    """Names of the emoji that have one, and the mean vector of each one's designs."""
    means = hetero.aligned(stored, images).reshape(len(images.classes), len(images.view_names), -1).mean(axis=1)
    names = unicode_names(images.classes)
    return list(names.values()), means[[code in names for code in images.classes]]


def write_texts(context: Context, out: Path) -> hetero.TextConfig:
    """Fit the tower on training emoji, choose its penalty by the validation emoji, and write the names' vectors."""
    data, stored = context.dataset, hetero.load_embeddings(context.cloud / "embeddings.safetensors")
    (train, targets), (held_out, goal) = named(stored, data.train), named(stored, data.validation)

    def found(penalty: float) -> float:
        ranks = (fit_tower(train, targets, (penalty,)).embed(held_out) @ goal.T).argsort(axis=1)[:, ::-1]
        return float((ranks[:, :5] == np.arange(len(held_out))[:, None]).any(axis=1).mean())

    penalty = max(PENALTIES, key=found)
    titles = unicode_names(code for part in (data.train, data.validation, data.test) for code in part.classes)
    codes, texts = list(titles), list(titles.values())
    out.mkdir(parents=True, exist_ok=True)
    vectors = fit_tower(train, targets, (penalty,)).embed(texts)
    hetero.save_embeddings(out / "texts.safetensors", vectors, texts, stored.space)
    with (out / "texts.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *zip(texts, codes, strict=True)])
    tower = f"ridge from Unicode names, penalty {penalty:g}"
    return hetero.TextConfig(str(out / "texts.safetensors"), str(out / "texts.csv"), tower)


def student_vectors(
    context: Context, texts: hetero.TextVectors, out: Path, student: str, method: str, seed: int
) -> Float32[np.ndarray, "n d"]:
    """A student's vectors of the test emoji: the run's own where it is there, else of one trained here."""
    path = context.root / "evaluation" / "vectors" / f"{student}.safetensors"
    if (seed != context.recipe.seed or method != "default") and student != CONTROL:
        path = out / f"{student}-{method}-{seed}" / "test.safetensors"
    if not path.is_file():
        config = next(one for one in context.recipe.students if one.name == student)
        config = dataclasses.replace(config, objectives=(*config.objectives, *METHODS[method]))
        data = context.with_copies
        cloud = hetero.CloudReference.from_directory(context.cloud, data).with_texts(texts, data)
        macs = json.loads((context.cloud / "metrics.json").read_text())["macs"]
        model = hetero.train_student(
            data, cloud, config, context.recipe.preprocessing, path.parent, cloud_macs=macs, seed=seed
        )
        vectors = hetero.embed_images(model, data.test.images)
        hetero.save_embeddings(path, vectors, data.test.names, cloud.space)
    return hetero.aligned(hetero.load_embeddings(path), context.dataset.test)


def shuffled(described: DescribedImages, seed: int) -> DescribedImages:
    """The same texts, each with another's vector."""
    order = np.random.default_rng(seed).permutation(len(described))
    return dataclasses.replace(described, vectors=described.vectors[np.roll(order, 1)[np.argsort(order)]])


def figures(model: Float32[np.ndarray, "n d"], cloud: Float32[np.ndarray, "n d"], described: DescribedImages) -> Any:
    """cmc@1 and cmc@10 both ways, and the shares of the cloud's."""
    record: dict[str, Any] = {}
    for way, search in (("text to image", text_to_image), ("image to text", image_to_text)):
        result, best = search(model, described), search(cloud, described)
        for metric in ("cmc@1", "cmc@10"):
            share = share_interval(result, best, metric, clusters=result.labels)
            ends = None if share is None else [round(end, 3) for end in (share.value, share.low, share.high)]
            record[f"{way} {metric}"] = {"value": round(result.mean(metric), 4), "share": ends}
    return record


def verify(context: Context, texts: hetero.TextVectors, student: str) -> None:
    """Print the rung of texts for each file of a bundle that runs here, and for the faults of texts."""
    bundle, stored = (
        read_bundle(context.bundle(student)),
        hetero.load_embeddings(context.cloud / "embeddings.safetensors"),
    )
    retrieval = retrieval_of(context.dataset, stored, queries=context.recipe.export.queries, texts=texts)
    assert retrieval.texts is not None and np.array_equal(retrieval.images, bundle.goldens.retrieval_images)
    entry = texts_entry(retrieval.texts, retrieval.cloud_embeddings)
    named = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, texts=entry))

    def add(copy: Path) -> None:
        retrieval.space.save(copy / SPACE)
        dataclasses.replace(bundle.goldens, texts=retrieval.texts).save(copy / GOLDENS)

    desktop = target("desktop")
    desktop.set_up()
    for entry in bundle.manifest.models:
        if entry.format not in ("onnx", "litert"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            whole = read_bundle(copy_changed(named, entry, Path(folder) / "bundle", add))
            (model,) = whole.manifest.models
            rungs = {rung.rung: rung for rung in check_model(whole, model, Job(whole, model, desktop).run(), Gates())}
            print(json.dumps({"file": entry.file, "status": rungs["text"].status, **rungs["text"].figures}), flush=True)
            if (entry.format, entry.precision) == ("onnx", "fp32"):
                faults = [fault for fault in FAULTS if fault.rung == "text"]
                outcomes = [try_fault(fault, whole, desktop, Gates()) for fault in faults]
                print(
                    "\n".join(f"{one.fault}: {one.answer}, {one.failed}, {one.reason}" for one in outcomes), flush=True
                )


def main() -> None:
    """Print every figure as a line, and write them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--students", nargs="+", default=["edge-m", "edge-s"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    context = Context(built_in("demo"), options.run)
    config = write_texts(context, options.out)
    stored = hetero.load_embeddings(context.cloud / "embeddings.safetensors")
    texts = hetero.TextVectors.load(config, stored.space)
    if options.verify:
        for student in options.students:
            verify(context, texts, student)
        return
    test = context.dataset.test
    described, cloud = texts.of(test), hetero.aligned(stored, test)
    rows: list[dict[str, Any]] = []

    def note(model: str, method: str, seed: int, vectors: Float32[np.ndarray, "n d"], by: DescribedImages) -> None:
        rows.append({"model": model, "method": method, "seed": seed, **figures(vectors, cloud, by)})
        print(json.dumps(rows[-1]), flush=True)

    note("cloud", "", 0, cloud, described)
    note("cloud", "texts shuffled", 0, cloud, shuffled(described, 0))
    note(CONTROL, "own space", 0, student_vectors(context, texts, options.out, CONTROL, "default", 0), described)
    for seed in options.seeds:
        for student in options.students:
            for method in options.methods:
                note(
                    student,
                    method,
                    seed,
                    student_vectors(context, texts, options.out, student, method, seed),
                    described,
                )
    record = {
        **where_and_when(),
        "tower": texts.tower,
        "gap": round(texts.side(hetero.aligned(stored, context.dataset.train)).gap or 0.0, 3),
        "texts": len(described),
        "images": len(test),
        "chance": float(chance_of_texts(described).mean()),
        "rows": rows,
    }
    write_json(options.out / "text_queries.json", record)
    print(json.dumps({name: value for name, value in record.items() if name != "rows"}))


if __name__ == "__main__":
    main()
