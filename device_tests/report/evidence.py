"""The content of a report, read from the files of a verification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_tests.answers.embeddings import DeviceEmbeddings, embeddings_file, load_embeddings
from device_tests.report.table import Line, RowDict, lines
from export.bundle.reading import Bundle, read_bundle
from export.kinds.registry import formats
from hetero.files import read_json


@dataclass(frozen=True)
class Evidence:
    """A verification.

    Attributes:
        rows: As in ``verdict.json``.
        lines: The rows, one line per model and target.
        summary: As in ``summary.json``; empty if there is none.
        bundles: Bundles by name.
        embeddings: The targets' embeddings, for the lines that returned any.
        resizers: Costs of other resizers, as in ``resizers.json``.
    """

    rows: Sequence[RowDict]
    lines: Sequence[Line]
    summary: Mapping[str, Any]
    bundles: Mapping[str, Bundle]
    embeddings: Mapping[Line, DeviceEmbeddings]
    resizers: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def gather(cls, rows: Sequence[RowDict], bundles: Sequence[Path], embeddings: Path) -> Evidence:
        """Read the files that belong to ``rows``.

        Args:
            rows: As in ``verdict.json``.
            bundles: The bundle directories that were verified.
            embeddings: The directory of the targets' embeddings; ``summary.json`` is read from beside it.

        Raises:
            InputError: If a bundle cannot be read.
        """
        summary = embeddings.parent / "summary.json"
        table = lines(rows)
        embeddings_by_line: dict[Line, DeviceEmbeddings] = {}
        for line in table:
            path = embeddings_file(embeddings.parent, line.bundle, line.target, line.format, line.precision)
            # Files of an earlier verification may remain; only those of verified lines count.
            answer = load_embeddings(path) if line.verified else None
            if answer is not None:
                embeddings_by_line[line] = answer
        opened = {bundle.manifest.name: bundle for bundle in map(read_bundle, bundles)}
        prices = embeddings.parent / "resizers.json"
        return cls(
            rows,
            table,
            read_json(summary) if summary.is_file() else {},
            opened,
            embeddings_by_line,
            read_json(prices) if prices.is_file() else [],
        )

    def shown(self) -> list[Line]:
        """Return for each bundle the line closest to an application: a phone's rather than a desktop's."""
        lines: dict[str, Line] = {}
        for line, answer in self.embeddings.items():
            better = line.bundle not in lines or (line.target != "desktop" and lines[line.bundle].target == "desktop")
            if better and np.isfinite(answer.query).all():
                lines[line.bundle] = line
        return list(lines.values())


def label(line: Line) -> str:
    """Name a line's target and format for people."""
    titles = {format.name: format.title for format in formats()}
    return f"{line.target} ({titles.get(line.format, line.format)})"
