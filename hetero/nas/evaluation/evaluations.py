"""Every evaluation on disk, a line each, so that a killed search continues and another budget reuses known figures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hetero.errors import IntegrityError
from hetero.files import canonical_json
from hetero.nas.space.architecture import Architecture

SCHEMA = "hetero/evaluations/1"


class Evaluations:
    """Figures of points, judged by one evaluator.

    The file is JSON lines: a header, then ``{"architecture": ..., "figures": {...}}``. A line is appended in one write
    and synced before it counts; a partial line of a killed process is cut off. One process writes at a time.

    Args:
        directory: Directory of the file, which is created if missing. Each evaluator has its own file.
        identity: Digest of everything that the figures depend on.

    Raises:
        IntegrityError: When the file is damaged.
    """

    def __init__(self, directory: Path, identity: str) -> None:
        self.path = directory / f"evaluations-{identity[:16]}.jsonl"
        self._known: dict[Architecture, dict[str, float]] = {}
        directory.mkdir(parents=True, exist_ok=True)
        if self.path.is_file():
            self._cut_off()
        if self.path.is_file() and self.path.stat().st_size:
            self._read(identity)
        else:
            self._append({"schema": SCHEMA, "identity": identity})

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self._known)

    def __contains__(self, architecture: Architecture) -> bool:
        """Return True if a point's figures are known."""
        return architecture in self._known

    def has(self, architecture: Architecture, figure: str) -> bool:
        """Return True if this figure of a point is known; a point judged by an earlier version may lack some."""
        return figure in self._known.get(architecture, {})

    def __iter__(self) -> Iterator[Architecture]:
        """Iterate over the points, in the order in which they were evaluated."""
        return iter(self._known)

    def __getitem__(self, architecture: Architecture) -> dict[str, float]:
        """Return a point's figures."""
        return self._known[architecture]

    def add(self, architecture: Architecture, figures: dict[str, float]) -> None:
        """Store a point's figures, in memory and on disk."""
        self._append({"architecture": architecture.to_dict(), "figures": figures})
        self._known[architecture] = figures

    def _append(self, value: dict[str, Any]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, (canonical_json(value) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _cut_off(self) -> None:
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            with self.path.open("r+b") as stream:
                stream.truncate(end)

    def _read(self, identity: str) -> None:
        header, *lines = self.path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        try:
            if json.loads(header) != {"schema": SCHEMA, "identity": identity}:
                raise IntegrityError(f"{self.path} does not hold evaluations of this supernet; remove it")
            for number, line in enumerate(lines, start=2):
                value = json.loads(line)
                point = Architecture.from_dict(value["architecture"], what=f"{self.path}, line {number}")
                self._known[point] = {str(name): float(figure) for name, figure in value["figures"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"{self.path} is damaged ({error}); remove it, and the search evaluates again"
            ) from None
