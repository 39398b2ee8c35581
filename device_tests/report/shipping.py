"""The files of each student side by side, size against loss, and the one to ship."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from device_tests.report.table import Line
from export.bundle.manifest import Manifest, ModelEntry, RecommendationEntry
from export.bundle.reading import Bundle
from export.kinds.registry import format_called
from export.precision.recommendation import goal_of, measured_loss, recommendations
from hetero.metrics.bootstrap import Interval

_DECIDING = ("fail", "not verified", "pass")
_NONE = "no file meets the rule and passed everything"


@dataclass(frozen=True)
class ShippedFile:
    """One file of a bundle.

    Attributes:
        model: Its entry in the manifest.
        loss: Share of map@r lost in calibration; None if it was not measured.
        goal: The largest share that it may lose.
        status: The outcome of all its rungs on all targets: a failure, else something not verified, else a pass, else
            ``n/a``.
        recommended: True if it is the one to ship of its format.
        link: Address of the file relative to the page; empty for a directory, and outside the page's folder.
        share: Its size as a share of the largest file's.
    """

    model: ModelEntry
    loss: Interval | None
    goal: float
    status: str
    recommended: bool
    link: str
    share: float


@dataclass(frozen=True)
class Shelf:
    """The files of one bundle.

    Attributes:
        bundle: The bundle's name.
        macs: Multiply-accumulates of one image.
        formats: Each format's title with its files.
        reasons: Each format's recommended file and the figures that decided, or why it has none.
    """

    bundle: str
    macs: int
    formats: Sequence[tuple[str, Sequence[ShippedFile]]]
    reasons: Sequence[str]


def shelves(bundles: Mapping[str, Bundle], lines: Sequence[Line], folder: Path) -> list[Shelf]:
    """Return the files of each bundle.

    Args:
        bundles: Bundles by name.
        lines: Their rows in the verdict.
        folder: The directory that the page is read in.
    """
    return [_shelf(name, bundle, lines, folder) for name, bundle in bundles.items()]


def _shelf(name: str, bundle: Bundle, lines: Sequence[Line], folder: Path) -> Shelf:
    models = bundle.manifest.models
    outcomes = {model.file: _status(name, model, lines) for model in models}
    best = _to_ship(bundle.manifest, {file for file, status in outcomes.items() if status == "pass"})
    largest = max(model.size for model in models)
    files = [
        ShippedFile(
            model=model,
            loss=measured_loss(model),
            goal=goal_of(model),
            status=outcomes[model.file],
            recommended=any(entry.file == model.file for entry in best.values()),
            link=_link(bundle.file(model), folder),
            share=model.size / largest if largest else 0.0,
        )
        for model in models
    ]
    titles = {model.format: format_called(model.format).title for model in models}
    formats = [(title, [file for file in files if file.model.format == format]) for format, title in titles.items()]
    reasons = [
        f"{title}: {best[format].file}, {best[format].why}" if format in best else f"{title}: {_NONE}"
        for format, title in titles.items()
    ]
    return Shelf(name, bundle.manifest.macs, formats, reasons)


def _to_ship(manifest: Manifest, passed: set[str]) -> dict[str, RecommendationEntry]:
    """Return a file for each format that has one: the manifest's own, or by the same rule of those that passed."""
    kept = {entry.format: entry for entry in recommendations(manifest) if entry.file in passed}
    others = tuple(model for model in manifest.models if model.file in passed and model.format not in kept)
    again = recommendations(replace(manifest, models=others, recommended=()))
    return kept | {entry.format: entry for entry in again}


def _status(bundle: str, model: ModelEntry, lines: Sequence[Line]) -> str:
    asked = (bundle, model.format, model.precision)
    own = [line for line in lines if (line.bundle, line.format, line.precision) == asked]
    statuses = {row["status"] for line in own for row in line.rungs.values()}
    if not own:
        return "not verified"
    return next((status for status in _DECIDING if status in statuses), "n/a")


def _link(file: Path, folder: Path) -> str:
    """Return the address of a file below a folder; empty for any other."""
    file, folder = file.resolve(), folder.resolve()
    return quote(os.path.relpath(file, folder)) if file.is_file() and file.is_relative_to(folder) else ""
