"""Export a trained model as a bundle."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import hetero
from export.bundle import read_bundle
from export.calibration import calibration_set, make_calibration
from export.card import model_card
from export.convert import Request, Result
from export.converter import ExportError, file_name, require_available
from export.goldens import Goldens, RetrievalSet, spread_rows
from export.half import Hazard, make_safe
from export.manifest import (
    FORMATS,
    GOLDENS,
    MANIFEST,
    PREPROCESS,
    README,
    SPACE,
    FileEntry,
    Format,
    Manifest,
    MissingEntry,
    ModelEntry,
    Precision,
    TaskEntry,
    combined_digest,
    require_name,
)
from export.originals import write_originals
from export.precisions import offer, offered
from export.processes import Outcomes, run_all
from export.program import capture, save
from export.source import Source, from_directory, from_module, resizing
from hetero.errors import InputError
from hetero.files import digest, replaced_directory, sha256_bytes, sha256_file, write_json, write_text
from hetero.models.cost import module_cost

__all__ = [
    "RetrievalSet",
    "Source",
    "calibration_set",
    "export_model",
    "from_directory",
    "from_module",
    "misses_goal",
    "resizing",
]

_WORK = ".work"
# The slowest first, so that two at a time end together.
_ORDER: tuple[Format, ...] = ("litert", "onnx", "coreml")


@dataclass(frozen=True)
class _Order:
    """What an export was asked for."""

    source: Source
    retrieval: RetrievalSet
    calibration: RetrievalSet | None
    files: list[tuple[Format, Precision]]
    goldens: int
    any_batch: bool
    licence: str
    tuned: Source | None = None
    goals: Mapping[Precision, float] = field(default_factory=dict[Precision, float])

    def goal(self, format: Format, precision: Precision) -> float:
        return self.goals.get(precision, offer(format, precision).goal)


def export_model(
    model: Path | Source,
    retrieval: RetrievalSet,
    out: Path,
    *,
    formats: Sequence[Format] = FORMATS,
    precisions: Sequence[Precision] = ("fp32",),
    calibration: RetrievalSet | None = None,
    goldens: int = 32,
    any_batch: bool = False,
    licence: str = "",
    tuned: Path | Source | None = None,
    goals: Mapping[Precision, float] | None = None,
    key: Path | None = None,
) -> Path:
    """Convert a model to every format and precision asked for, check the files against it, and write a bundle.

    Exporting the same model twice gives the same files. What stood at ``out`` is replaced when the bundle is whole;
    otherwise it stays. A file that could not be made is listed in the manifest as missing, with the reason; the others
    are kept.

    Args:
        model: A model directory as :func:`hetero.models.directory.save_model` writes it, or any model as
            :func:`export.source.from_module` wraps it.
        retrieval: Test images with cloud embeddings; they ship with the bundle.
        out: The bundle's directory.
        formats: Any of ``onnx``, ``litert`` and ``coreml``.
        precisions: Any names of :mod:`export.precisions`; each format makes those that it takes.
        calibration: Training or validation images with cloud embeddings. Full int8 needs them; with them every
            precision's loss of retrieval is measured.
        goldens: How many of the images also become golden images for the comparison with torch.
        any_batch: Whether the ONNX files take any number of images at once; the other formats take one.
        licence: Of the model, an SPDX identifier or words; it is repeated in the manifest and the model card.
        tuned: The same model fine-tuned for int8 (:func:`hetero.training.quantization_aware.tune_for_int8`): full int8
            is made from it, everything else from ``model``.
        goals: Largest share of asymmetric map@r that a precision is to lose, where it differs from the table's.
        key: An Ed25519 private key (PEM) that signs the manifest.

    Returns:
        ``out``.

    Raises:
        InputError: When something asked for is not available, or the retrieval or calibration set does not fit.
        SpaceMismatchError: When cloud embeddings belong to another space than the model.
        ExportError: When the model cannot be captured, or no file could be made.
    """
    require_available(formats, precisions)
    order = _Order(
        source=model if isinstance(model, Source) else from_directory(model),
        retrieval=retrieval,
        calibration=calibration,
        files=offered(sorted(formats, key=FORMATS.index), precisions),
        goldens=goldens,
        any_batch=any_batch,
        licence=licence,
        tuned=from_directory(tuned) if isinstance(tuned, Path) else tuned,
        goals=goals or {},
    )
    _require_fit(order)
    _require_replaceable(out)
    _remove_leftovers(out)
    with replaced_directory(out) as fresh:
        _fill(fresh, order)
        if key is not None:
            from export.signing import sign

            sign(fresh, key)
        _ = read_bundle(fresh).goldens
    return out


def misses_goal(bundle: Path) -> bool:
    """Whether a full int8 file of a bundle loses more retrieval on the calibration queries than it was to."""
    models = read_bundle(bundle).manifest.models
    return any(model.quantisation is not None and not model.quantisation.met for model in models)


def _fill(fresh: Path, order: _Order) -> None:
    source = order.source
    with (
        tqdm(None, total=len(order.files) + 1, desc=f"exporting {source.name}", unit="file") as bar,
        tempfile.TemporaryDirectory(dir=fresh, prefix=_WORK) as made,
    ):
        work = Path(made)
        golden = make_goldens(source, order.retrieval, order.goldens)
        golden.save(fresh / GOLDENS)
        source.space.save(fresh / SPACE)
        write_json(fresh / PREPROCESS, source.preprocessing.to_dict())
        write_originals(fresh, order.retrieval.originals)
        hazards = _capture(order, golden, work)
        if order.calibration is not None:
            make_calibration(order.calibration, order.retrieval, source.space, source.embed).save(work)
        bar.update()

        def advance(name: Format, precision: Precision) -> None:
            bar.set_postfix_str(f"{name} {precision}")
            bar.update()

        outcomes = run_all(_requests(order, fresh, work), finished=advance)
    missing = _missing(outcomes)
    if len(missing) == len(outcomes):
        reasons = [f"{one.format} {one.precision}: {one.reason}" for one in missing]
        raise ExportError("the export failed and wrote nothing:", reasons)
    for one in missing:
        _remove(fresh / file_name(one.format, one.precision))
        print(f"not exported: {one.format} {one.precision}: {one.reason}", file=sys.stderr)
    manifest = _manifest(order, outcomes, missing, hazards, _listed(fresh))
    write_text(fresh / README, model_card(manifest, source.space, source.preprocessing))
    write_json(fresh / MANIFEST, manifest.to_dict() | {"files": [vars(file) for file in _listed(fresh)]})


def make_goldens(source: Source, retrieval: RetrievalSet, count: int) -> Goldens:
    """Run the model in torch over the retrieval set, and pick ``count`` of its images, evenly spread, as goldens."""
    rows = spread_rows(len(retrieval.images), count)
    student = source.embed(retrieval.images)
    images = np.ascontiguousarray(retrieval.images[rows])
    with torch.inference_mode():
        tensors = source.pixels(torch.from_numpy(images)).contiguous().numpy()
    return Goldens(
        golden_images=images,
        golden_tensors=tensors,
        golden_embeddings=student[rows],
        retrieval_images=retrieval.images,
        retrieval_labels=retrieval.labels,
        retrieval_student=student,
        retrieval_cloud=retrieval.cloud_embeddings,
        tasks=retrieval.tasks,
    )


def _capture(order: _Order, golden: Goldens, work: Path) -> list[Hazard]:
    """Write the graphs for the converters; returns what float16 cannot hold even after the norm was made safe."""
    source = order.source
    found, left = _write_graph(order, source, golden, work, "program.pt2", any_batch=False)
    for one in found:
        state = "remains" if one in left else "rewritten: rows are scaled before the norm"
        print(f"float16: {one} ({state})", file=sys.stderr)
    if order.any_batch:
        _write_graph(order, source, golden, work, "program.batch.pt2", any_batch=True)
    if order.tuned is not None:
        save(capture(order.tuned.module, source.example), work / "program.int8.pt2")
        if order.any_batch:
            save(capture(order.tuned.module, source.example, any_batch=True), work / "program.int8.batch.pt2")
    return left


def _write_graph(
    order: _Order, source: Source, golden: Goldens, work: Path, name: str, *, any_batch: bool
) -> tuple[list[Hazard], list[Hazard]]:
    """Returns the hazards for float16 that the model has, and those that the written graph still has."""
    program = capture(source.module, source.example, any_batch=any_batch)
    found, left = list[Hazard](), list[Hazard]()
    if any(offer(*file).half for file in order.files):
        program, found, left = make_safe(program, golden.golden_images, source.example, any_batch=any_batch)
    save(program, work / name)
    return found, left


def _requests(order: _Order, fresh: Path, work: Path) -> list[Request]:
    source = order.source
    by_format: dict[Format, dict[Precision, str]] = {}
    for name, precision in order.files:
        by_format.setdefault(name, {})[precision] = str(fresh.resolve() / file_name(name, precision))
    ending = {name: "batch.pt2" if _takes_any(order, name) else "pt2" for name in by_format}
    return [
        Request(
            program=str(work.resolve() / f"program.{ending[name]}"),
            int8_program="" if order.tuned is None else str(work.resolve() / f"program.int8.{ending[name]}"),
            format=name,
            files=by_format[name],
            goldens=str(fresh.resolve() / GOLDENS),
            work=str(work.resolve()),
            metadata=source.describe(),
            height=source.preprocessing.height,
            width=source.preprocessing.width,
            any_batch=_takes_any(order, name),
            goals={precision: order.goal(name, precision) for precision in by_format[name]},
        )
        for name in _ORDER
        if name in by_format
    ]


def _takes_any(order: _Order, name: Format) -> bool:
    return order.any_batch and name == "onnx"


def _require_fit(order: _Order) -> None:
    source, retrieval = order.source, order.retrieval
    require_name(source.name)
    retrieval.space.require_same(source.space, this="the retrieval set", that=f"the model {source.name}")
    problems: list[str] = []
    expected = (source.preprocessing.height, source.preprocessing.width, 3)
    if retrieval.images.shape[1:] != expected or retrieval.images.dtype != np.uint8:
        came = f"{retrieval.images.dtype} {list(retrieval.images.shape[1:])}"
        problems.append(f"images: expected uint8 {list(expected)} as the model's preprocessing says, got {came}")
    if order.goldens < 1:
        problems.append(f"goldens: expected at least 1, got {order.goldens}")
    if order.calibration is None:
        problems += [
            f"{name} {precision}: needs calibration images with cloud embeddings (training or validation images)"
            for name, precision in order.files
            if offer(name, precision).calibrated
        ]
    if order.tuned is not None:
        source.space.require_same(order.tuned.space, this=f"the model {source.name}", that="its version tuned for int8")
        if order.tuned.preprocessing != source.preprocessing:
            problems.append("tuned: prepares images in another way than the model")
    if problems:
        raise InputError(f"cannot export the model {source.name}:", problems)


def _require_replaceable(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))):
        raise InputError(f"{out} exists and is not a bundle; it will not be replaced: choose another path or remove it")


def _remove_leftovers(out: Path) -> None:
    """Remove what a killed export of this bundle left beside it."""
    ours = re.compile(rf"\.{re.escape(out.name)}\.(old\.)?[a-z0-9_]{{8}}")
    for path in out.parent.glob(f".{out.name}.*") if out.parent.is_dir() else ():
        if ours.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _missing(outcomes: Outcomes) -> tuple[MissingEntry, ...]:
    return tuple(
        MissingEntry(name, precision, outcome)
        for (name, precision), outcome in sorted(outcomes.items())
        if isinstance(outcome, str)
    )


def _manifest(
    order: _Order,
    outcomes: Outcomes,
    missing: tuple[MissingEntry, ...],
    hazards: Sequence[Hazard],
    files: tuple[FileEntry, ...],
) -> Manifest:
    source, measured = order.source, module_cost(order.source.module, order.source.preprocessing)
    models = [
        _entry(*file, outcome, files, hazards) for file in order.files if isinstance(outcome := outcomes[file], Result)
    ]
    return Manifest(
        name=source.name,
        hetero=hetero.__version__,
        space_id=source.space.space_id,
        source=source.digest,
        macs=measured.macs,
        parameters=measured.parameters,
        models=tuple(models),
        tasks=tuple(TaskEntry(task.name, task.exclude_self) for task in order.retrieval.tasks),
        files=(),
        missing=missing,
        licence=order.licence,
        provenance=source.provenance,
        calibration=_calibration_digest(order.calibration),
    )


def _calibration_digest(calibration: RetrievalSet | None) -> str:
    if calibration is None:
        return ""
    return digest([sha256_bytes(array.tobytes()) for array in (calibration.images, calibration.cloud_embeddings)])


def _entry(
    name: Format, precision: Precision, result: Result, files: tuple[FileEntry, ...], hazards: Sequence[Hazard]
) -> ModelEntry:
    file = file_name(name, precision)
    own = tuple(one for one in files if one.path == file or one.path.startswith(f"{file}/"))
    sha256, size = combined_digest(own, file)
    return ModelEntry(
        file=file,
        format=name,
        precision=precision,
        sha256=sha256,
        size=size,
        input=result.input,
        output=result.output,
        versions=result.versions,
        checked="not verified" if result.min_cosine is None else "pass",
        min_cosine=result.min_cosine,
        mean_cosine=result.mean_cosine,
        calibration_loss=result.calibration_loss,
        quantisation=result.quantisation,
        warnings=tuple(f"float16: {one}" for one in hazards) if offer(name, precision).half else (),
    )


def _listed(directory: Path) -> tuple[FileEntry, ...]:
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != directory / MANIFEST)
    return tuple(
        FileEntry(file.relative_to(directory).as_posix(), sha256_file(file), file.stat().st_size) for file in files
    )
