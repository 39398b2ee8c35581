"""Export a trained model as a bundle."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from export.app.self_test import write_self_tests
from export.bundle.goldens import Goldens, RetrievalSet, spread_rows
from export.bundle.manifest import GOLDENS, MANIFEST, PREPROCESS, README, SPACE
from export.bundle.originals import write_originals
from export.bundle.reading import read_bundle, require_replaceable
from export.capture.fusion import fuse_branches
from export.capture.source import Source, from_directory
from export.conversion.assemble import listed, manifest_of, missing_entries
from export.conversion.card import model_card
from export.conversion.graphs import requests, write_graphs
from export.conversion.order import Order, require_fit
from export.conversion.processes import Outcomes, run_all
from export.conversion.request import Result
from export.errors import ExportError
from export.formats import FORMATS
from export.formats.converter import require_available
from export.kinds.precision import Precision
from export.kinds.registry import format_called, names
from export.precision.calibration import make_calibration
from export.precision.table import offered
from hetero.data.names import is_text
from hetero.display.progress import Bar
from hetero.display.text import say
from hetero.errors import InputError
from hetero.files import write_json, write_text
from hetero.storage.directories import replaced_directory

_WORK = ".work"
_GOLDEN_TENSORS = 2
"""Golden images whose input of the network is stored: one of a single colour cannot tell mean and deviation apart."""


def export_model(
    model: Path | Source,
    retrieval: RetrievalSet,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    precisions: Sequence[Precision] = ("fp32",),
    calibration: RetrievalSet | None = None,
    goldens: int = 32,
    any_batch: bool = False,
    licence: str = "",
    images: str = "",
    tuned: Path | Source | None = None,
    goals: Mapping[Precision, float] | None = None,
    key: Path | None = None,
) -> Path:
    """Convert a model to every requested format and precision, check the files against it, and write a bundle.

    Exporting the same model twice gives the same files. An earlier bundle at ``out`` is replaced when the new one is
    complete; otherwise it stays. A file that could not be made is listed in the manifest as missing, with the reason;
    the others are kept.

    Args:
        model: A model directory as :func:`hetero.models.directory.save_model` writes it, or any model as
            :func:`export.capture.source.from_module` wraps it.
        retrieval: Test images with cloud embeddings; they ship with the bundle.
        out: The bundle's directory.
        formats: Names of :func:`export.kinds.registry.formats`.
        precisions: Any names of :mod:`export.precision.table`; each format makes those that it supports.
        calibration: Training or validation images with cloud embeddings. Full int8 needs them; with them every
            precision's loss of retrieval is measured.
        goldens: Number of the images that also become golden images for the comparison with torch.
        any_batch: True if files take any number of images at once, where their format can; ONNX does.
        licence: Licence of the model, an SPDX identifier or words; it is repeated in the manifest and the model card.
        images: Origin of the retrieval images and whether persons or users can be seen, in words: they travel with the
            bundle, and three of them into applications.
        tuned: The same model fine-tuned for int8 (:func:`hetero.training.quantization_aware.tune_for_int8`): full int8
            is made from it, everything else from ``model``.
        goals: Largest share of asymmetric map@r that a precision may lose, where it differs from the table's.
        key: An Ed25519 private key (PEM) that signs the manifest.

    Returns:
        The path ``out``.

    Raises:
        InputError: If a requested format or precision is unavailable, or the retrieval or calibration set does not fit.
        SpaceMismatchError: If cloud embeddings belong to another space than the model.
        ExportError: If the model cannot be captured, or no file could be made.
    """
    require_available(formats, precisions)
    _require_writable(out)
    order = Order(
        source=model if isinstance(model, Source) else from_directory(model),
        retrieval=retrieval,
        calibration=calibration,
        files=offered(sorted(formats, key=names().index), precisions),
        goldens=goldens,
        any_batch=any_batch,
        licence=licence,
        images=images,
        tuned=from_directory(tuned) if isinstance(tuned, Path) else tuned,
        goals=goals or {},
    )
    require_fit(order)
    require_replaceable(out)
    with replaced_directory(out) as fresh:
        _fill(fresh, order)
        if key is not None:
            from export.bundle.signing import sign

            sign(fresh, key)
        _ = read_bundle(fresh).goldens
    return out


def misses_goal(bundle: Path) -> bool:
    """Return True if a full int8 file of a bundle loses more retrieval on the calibration queries than its goal."""
    quantisations = [model.quantisation for model in read_bundle(bundle).manifest.models]
    return any(entry is not None and entry.calibrator is not None and not entry.met for entry in quantisations)


def _fill(fresh: Path, order: Order) -> None:
    source = order.source
    with (
        Bar(None, total=len(order.files) + 1, desc=f"exporting {source.name}", unit="file") as bar,
        tempfile.TemporaryDirectory(dir=fresh, prefix=_WORK) as made,
    ):
        work = Path(made)
        golden = make_goldens(source, order.retrieval, order.goldens)
        golden.save(fresh / GOLDENS)
        # A student's own contract says nothing of texts: they come with the photos that they describe.
        space = replace(source.space, text=order.retrieval.space.text)
        space.save(fresh / SPACE)
        write_json(fresh / PREPROCESS, source.preprocessing.to_dict())
        write_originals(fresh, order.retrieval.originals)
        write_self_tests(fresh, golden.golden_images, golden.golden_embeddings, source.preprocessing, source.embed)
        fusion = fuse_branches(source, golden.golden_images)
        order = replace(order, source=fusion.source)
        if order.tuned is not None:
            order = replace(order, tuned=fuse_branches(order.tuned, golden.golden_images).source)
        hazards = write_graphs(order, golden, work)
        if order.calibration is not None:
            make_calibration(order.calibration, order.retrieval, source.space, source.embed).save(work)
        bar.update()

        def advance(name: str, precision: Precision) -> None:
            bar.set_postfix_str(f"{name} {precision}")
            bar.update()

        outcomes = run_all(requests(order, fresh, work), finished=advance)
    _say_cost(outcomes)
    missing = missing_entries(outcomes)
    if len(missing) == len(outcomes):
        reasons = [f"{entry.format} {entry.precision}: {entry.reason}" for entry in missing]
        raise ExportError("the export failed and wrote nothing:", reasons)
    for entry in missing:
        _remove(fresh / format_called(entry.format).file_name(entry.precision))
        say(f"not exported: {entry.format} {entry.precision}: {entry.reason}", error=True)
    manifest = manifest_of(order, outcomes, missing, hazards, listed(fresh), fusion)
    write_text(fresh / README, model_card(manifest, space, source.preprocessing))
    write_json(fresh / MANIFEST, manifest.to_dict() | {"files": [vars(file) for file in listed(fresh)]})


def _say_cost(outcomes: Outcomes) -> None:
    """Print the cost of each file, which is not in the manifest, because that is the same each time."""
    results = {file: outcome for file, outcome in outcomes.items() if isinstance(outcome, Result)}
    if not results:
        return
    times = ", ".join(f"{name} {precision} {result.seconds:.1f} s" for (name, precision), result in results.items())
    largest = max(result.peak_memory_bytes for result in results.values())
    print(f"converted: {times}; the largest converter held {largest / 2**30:.2f} GB", file=sys.stderr)


def make_goldens(source: Source, retrieval: RetrievalSet, count: int) -> Goldens:
    """Run the model in torch over the retrieval set, and pick ``count`` of its images, evenly spread, as goldens."""
    rows = spread_rows(len(retrieval.images), count)
    student = source.embed(retrieval.images)
    images = np.ascontiguousarray(retrieval.images[rows])
    with torch.inference_mode():
        tensors = source.pixels(torch.from_numpy(images[:_GOLDEN_TENSORS])).contiguous().numpy()
    return Goldens(
        golden_images=images,
        golden_tensors=tensors,
        golden_embeddings=student[rows],
        retrieval_images=retrieval.images,
        retrieval_labels=retrieval.labels,
        retrieval_student=student,
        retrieval_cloud=retrieval.cloud_embeddings,
        tasks=retrieval.tasks,
        texts=retrieval.texts,
    )


def _require_writable(out: Path) -> None:
    # Given a path that is not text, torch ends the whole process.
    if not is_text(str(out.absolute())):
        raise InputError(f"expected a bundle's path in UTF-8 (and a locale of it, as LC_ALL=C.UTF-8), got {str(out)!a}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
