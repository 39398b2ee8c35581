"""Limits on a manifest's content, checked before any file that it names is opened."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from export.bundle.manifest import (
    GALLERY,
    GOLDENS,
    GRAPH,
    IDS,
    MANIFEST,
    NAME,
    PREPROCESS,
    README,
    SCHEMA,
    SIGNATURE,
    SPACE,
    FusionEntry,
    Manifest,
    ModelEntry,
    combined_digest,
)
from hetero.display.text import is_one_line, shown
from hetero.errors import IntegrityError
from hetero.schema import parse

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,7}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = {"min_cosine": 1.001, "mean_cosine": 1.001, "golden_room": 2.001, "calibration_loss": 1e6}

_LARGEST_MOVE = 2.0
"""The largest distance between two unit vectors."""


def checked_manifest(value: object, *, what: str) -> Manifest:
    """Check a record and turn it into a manifest.

    Raises:
        IntegrityError: With every problem found.
    """
    if isinstance(value, dict) and value.get("schema") != SCHEMA:
        raise IntegrityError(
            f"{what}: expected the schema {SCHEMA!r}, got {str(value.get('schema'))[:100]!r}; "
            "export the model again with this version of hetero"
        )
    manifest = parse(Manifest, value, what=what, error=IntegrityError)
    if problems := [*file_problems(manifest), *content_problems(manifest)]:
        raise IntegrityError(f"{what} is not valid:", problems)
    return manifest


def file_problems(manifest: Manifest) -> list[str]:
    """Return paths that leave the bundle, malformed digests, and files that every bundle must list."""
    problems: list[str] = []
    paths = [file.path for file in manifest.files]
    for file in manifest.files:
        shown = file.path[:200]
        if not _PATH.fullmatch(file.path):
            problems.append(f"files: {shown!r} is not a plain relative path inside the bundle")
        if not _SHA256.fullmatch(file.sha256):
            problems.append(f"files: {shown!r}: sha256 must be 64 hexadecimal digits")
        if file.size < 0:
            problems.append(f"files: {shown!r}: size must not be negative, got {file.size}")
    if len({path.lower() for path in paths}) < len(paths):
        problems.append("files: a path is listed twice (letter case does not count)")
    problems += [f"files: {name} cannot be listed" for name in (MANIFEST, SIGNATURE) if name in paths]
    problems += [f"files: {name} is not listed" for name in (SPACE, PREPROCESS, GOLDENS, README) if name not in paths]
    return problems


def content_problems(manifest: Manifest) -> list[str]:
    """Return implausible names, figures and models."""
    problems = [f"{what}: holds a character that is not seen" for what in _unseen(manifest.to_dict(), "")]
    if not NAME.fullmatch(manifest.name):
        problems.append(f"name: {manifest.name[:200]!r} holds characters other than letters, digits, '.', '-' and '_'")
    for field in ("space_id", "source"):
        if not _SHA256.fullmatch(getattr(manifest, field)):
            problems.append(f"{field}: must be 64 hexadecimal digits")
    if manifest.macs < 0 or manifest.parameters < 0:
        problems.append("macs and parameters must not be negative")
    if manifest.texts is not None and not 0 <= manifest.texts.found <= manifest.texts.count != 0:
        problems.append("texts: expected at least one, and found between 0 and their number")
    problems += _gallery_problems(manifest)
    if manifest.fusion is not None:
        problems += _fusion_problems(manifest.fusion)
    problems += ["missing: a reason is empty" for one in manifest.missing if not one.reason.strip()]
    for task in manifest.tasks:
        if not task.name.isprintable() or not 0 < len(task.name) <= 200:
            problems.append(f"tasks: {task.name[:200]!r} is not a printable name of 1 to 200 characters")
    kinds = [(model.format, model.precision) for model in manifest.models]
    if len(set(kinds)) < len(kinds):
        problems.append("models: a format is listed twice with the same precision")
    if not kinds:
        problems.append("models: none is listed")
    for model in manifest.models:
        problems += _model_problems(manifest, model)
    files = {(model.format, model.precision, model.file) for model in manifest.models}
    chosen = [(entry.format, entry.precision, entry.file) for entry in manifest.recommended]
    problems += [
        f"recommended: {file[:200]!r} is none of the models" for *kind, file in chosen if (*kind, file) not in files
    ]
    if len({format for format, *_ in chosen}) < len(chosen):
        problems.append("recommended: a format is listed twice")
    return problems


def _unseen(value: Any, place: str) -> Iterator[str]:
    """Yield the places of texts and names with a character that terminals and pages do not display."""
    # A converter's message may have several lines.
    if isinstance(value, str) and not is_one_line(value.replace("\n", " ") if place == "missing.reason" else value):
        yield place
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, Any]", value).items():
            yield from _unseen(name, place or "(top level)")
            yield from _unseen(inner, f"{place}.{shown(name)[:100]}" if place else shown(name)[:100])
    elif isinstance(value, list | tuple):
        for inner in cast("Sequence[Any]", value):
            yield from _unseen(inner, place)


def _gallery_problems(manifest: Manifest) -> list[str]:
    entry, inside = manifest.gallery, {file.path for file in manifest.files if file.path.startswith(f"{GALLERY}/")}
    if entry is None:
        return [f"files: {GALLERY} is listed, but the manifest says nothing of it"] if inside else []
    problems = [] if inside == {GRAPH, IDS} else [f"gallery: expected the files {GRAPH} and {IDS}"]
    if min(entry.items, entry.effort, entry.connectivity) < 1:
        problems.append("gallery: items, effort and connectivity must be positive")
    return problems


def _fusion_problems(fusion: FusionEntry) -> list[str]:
    problems = [
        f"fusion: {name[:100]!r} is no class with a number of blocks"
        for name, count in fusion.blocks.items()
        if not name.isidentifier() or len(name) > 100 or count < 1
    ]
    if min(fusion.macs, fusion.parameters) < 0 or not 0 <= fusion.moved <= _LARGEST_MOVE:
        problems.append(f"fusion: macs and parameters must not be negative, moved must lie in 0..{_LARGEST_MOVE:g}")
    return problems


def _model_problems(manifest: Manifest, model: ModelEntry) -> list[str]:
    what = f"models: {model.format} {model.precision}"
    files = manifest.files_of(model)
    if not files:
        return [f"{what}: its file {model.file[:200]!r} is not listed under files"]
    problems: list[str] = []
    if (model.sha256, model.size) != combined_digest(files, model.file):
        problems.append(f"{what}: sha256 and size are not those of its files")
    for tensor in (model.input, model.output):
        first = 0 if tensor.type != "image-rgb" else 1
        if any(not (first if place == 0 else 1) <= side < 2**31 for place, side in enumerate(tensor.shape)):
            problems.append(f"{what}: shapes must be positive")
        if not (math.isfinite(tensor.scale) and 0 <= tensor.scale <= 1 and -128 <= tensor.zero_point <= 255):
            problems.append(f"{what}: {tensor.name[:100]!r} has an impossible scale or zero point")
    problems += [
        f"{what}: {fit.accelerator} cannot take that much of it"
        for fit in model.accelerators
        if not 0 <= fit.partitions <= fit.taken <= fit.operators or any(one.count < 1 for one in fit.breakers)
    ]
    if model.checked == "pass" and model.min_cosine is None:
        problems.append(f"{what}: min_cosine belongs to a model that was checked")
    ends = model.calibration_interval
    if ends is not None and not (ends.value == model.calibration_loss and ends.low <= ends.high):
        problems.append(f"{what}: calibration_interval must be that of calibration_loss")
    for name, largest in _LARGEST.items():
        figure: float | None = getattr(model, name)
        if figure is not None and not (math.isfinite(figure) and abs(figure) <= largest):
            problems.append(f"{what}: {name} must lie between -{largest} and {largest}")
    return problems
