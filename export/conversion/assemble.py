"""The manifest of a bundle, from the converters' results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hetero
from export.app.contract import SELF_TESTS
from export.bundle.golden_texts import texts_entry
from export.bundle.goldens import RetrievalSet
from export.bundle.manifest import (
    MANIFEST,
    FileEntry,
    ImagesEntry,
    Manifest,
    MissingEntry,
    ModelEntry,
    TaskEntry,
    combined_digest,
)
from export.capture.fusion import Fusion
from export.conversion.half import Hazard
from export.conversion.order import Order
from export.conversion.processes import Outcomes
from export.conversion.request import Result
from export.conversion.telling import tells, why_not
from export.kinds.precision import Precision
from export.kinds.registry import format_called
from export.precision.doubts import doubts
from export.precision.recommendation import HALF_HAZARD, recommendations
from export.precision.table import offer
from hetero.display.text import one_line, shown
from hetero.files import digest, sha256_bytes, sha256_file
from hetero.models.cost import module_cost


def missing_entries(outcomes: Outcomes) -> tuple[MissingEntry, ...]:
    """Return the files that could not be made, with the reasons."""
    return tuple(
        MissingEntry(name, precision, shown(outcome))
        for (name, precision), outcome in sorted(outcomes.items())
        if isinstance(outcome, str)
    )


def manifest_of(
    order: Order,
    outcomes: Outcomes,
    missing: tuple[MissingEntry, ...],
    hazards: Sequence[Hazard],
    files: tuple[FileEntry, ...],
    fusion: Fusion,
) -> Manifest:
    """Return a manifest without its list of files, to which the model card is still to be added.

    Args:
        order: The order.
        outcomes: The converters' results.
        missing: Those of them that are failures.
        hazards: Values that exceed float16.
        files: The files so far.
        fusion: The result of merging the model's branches.
    """
    source, measured = order.source, module_cost(order.source.module, order.source.preprocessing)
    warnings = (one_line(fusion.warning),) if fusion.warning else ()
    models = [
        _entry(*file, outcome, files, hazards, warnings)
        for file in order.files
        if isinstance(outcome := outcomes[file], Result)
    ]
    manifest = Manifest(
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
        licence=one_line(order.licence),
        provenance=source.provenance,
        calibration=_calibration_digest(order.calibration),
        fusion=fusion.entry,
        images=ImagesEntry(
            retrieval=len(order.retrieval.images),
            originals=len(order.retrieval.originals),
            self_test=SELF_TESTS,
            origin=one_line(order.images),
        ),
        texts=texts_entry(order.retrieval.texts, order.retrieval.cloud_embeddings),
    )
    return replace(manifest, recommended=recommendations(manifest))


def _calibration_digest(calibration: RetrievalSet | None) -> str:
    if calibration is None:
        return ""
    return digest([sha256_bytes(array.tobytes()) for array in (calibration.images, calibration.cloud_embeddings)])


def _entry(
    name: str,
    precision: Precision,
    result: Result,
    files: tuple[FileEntry, ...],
    hazards: Sequence[Hazard],
    warnings: tuple[str, ...],
) -> ModelEntry:
    file = format_called(name).file_name(precision)
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
        checked="pass" if result.min_cosine is not None and told_apart(result) else "not verified",
        min_cosine=result.min_cosine,
        mean_cosine=result.mean_cosine,
        golden_room=result.golden_room,
        calibration_loss=result.calibration_loss and result.calibration_loss.value,
        calibration_interval=result.calibration_loss,
        quantisation=result.quantisation,
        accelerators=result.accelerators,
        warnings=(
            *warnings,
            *(f"{HALF_HAZARD}{one}" for one in hazards if offer(name, precision).half),
            *(f"{file}: {one}" for one in doubts(result.quantisation)),
            *(() if told_apart(result) else (why_not(result.golden_room or 0.0),)),
        ),
    )


def told_apart(result: Result) -> bool:
    """Return True if the golden images tell models apart, or no file was compared on them."""
    return result.golden_room is None or tells(result.golden_room)


def listed(directory: Path) -> tuple[FileEntry, ...]:
    """Return every file of a bundle but its manifest, by path."""
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != directory / MANIFEST)
    return tuple(
        FileEntry(file.relative_to(directory).as_posix(), sha256_file(file), file.stat().st_size) for file in files
    )
