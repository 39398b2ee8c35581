"""Everything that a report shows, read from the files of a verification."""

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
        lines: The rows, one line a model and target.
        summary: As in ``summary.json``; empty when there is none.
        bundles: By name.
        embeddings: What the targets computed, of the lines that gave something.
        resizers: What other resizers would cost, as in ``resizers.json``.
    """

    rows: Sequence[RowDict]
    lines: Sequence[Line]
    summary: Mapping[str, Any]
    bundles: Mapping[str, Bundle]
    embeddings: Mapping[Line, DeviceEmbeddings]
    resizers: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def gather(cls, rows: Sequence[RowDict], bundles: Sequence[Path], embeddings: Path) -> Evidence:
        """Read what belongs to ``rows``.

        Args:
            rows: As in ``verdict.json``.
            bundles: The bundle directories that were verified.
            embeddings: The directory of the targets' embeddings; ``summary.json`` is read from beside it.

        Raises:
            InputError: When a bundle cannot be read.
        """
        summary = embeddings.parent / "summary.json"
        table = lines(rows)
        held: dict[Line, DeviceEmbeddings] = {}
        for line in table:
            path = embeddings_file(embeddings.parent, line.bundle, line.target, line.format, line.precision)
            # Files of an earlier verification may lie beside; only lines that were verified have a say.
            found = load_embeddings(path) if line.verified else None
            if found is not None:
                held[line] = found
        opened = {bundle.manifest.name: bundle for bundle in map(read_bundle, bundles)}
        prices = embeddings.parent / "resizers.json"
        return cls(
            rows,
            table,
            read_json(summary) if summary.is_file() else {},
            opened,
            held,
            read_json(prices) if prices.is_file() else [],
        )

    def shown(self) -> list[Line]:
        """For each bundle the line nearest to an application: a phone's rather than a desktop's."""
        chosen: dict[str, Line] = {}
        for line, held in self.embeddings.items():
            better = line.bundle not in chosen or (line.target != "desktop" and chosen[line.bundle].target == "desktop")
            if better and np.isfinite(held.query).all():
                chosen[line.bundle] = line
        return list(chosen.values())


def label(line: Line) -> str:
    """Names a line's target and format for people."""
    titles = {format.name: format.title for format in formats()}
    return f"{line.target} ({titles.get(line.format, line.format)})"
