"""Writing an index, file by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hetero.data.index.columns import Column, TextColumn
from hetero.data.index.file_images import FileImages
from hetero.data.index.image_index import COLUMNS, RECORD, SCHEMA, TEXTS, IndexRecord, SourceFile
from hetero.data.sources.rows import SPLITS
from hetero.data.sources.walk import PassedOver
from hetero.files import sha256_file, write_json


class IndexWriter:
    """Writes an index into an empty folder, file by file.

    Args:
        directory: The folder.
        with_boxes: True if images may have boxes.
    """

    def __init__(self, directory: Path, *, with_boxes: bool = False) -> None:
        self._directory = directory
        names = [name for name in COLUMNS if with_boxes or name != "box"]
        self._columns = {name: Column(directory / f"{name}.npy", *COLUMNS[name]) for name in names}
        self._texts = {name: TextColumn(directory, name) for name in TEXTS}
        self._classes: dict[str, int] = {}
        self._views: dict[str, int] = {}
        self._sources = self.images = 0
        self.passed_over = PassedOver()

    def add_source(self, file: SourceFile, *, copied: bool = False) -> None:
        """Add a file; images added after it lie in it."""
        self._texts["paths"].append([file.path])
        self._texts["stamps"].append([file.stamp])
        self._columns["sizes"].append([file.size])
        self._columns["copied"].append([int(copied)])
        self._sources += 1

    def add_rows(self, rows: FileImages, sources: Sequence[int] | None = None) -> None:
        """Add images.

        Args:
            rows: The images.
            sources: File of each; the last one for None.
        """
        count = len(rows.names)
        self._texts["names"].append(rows.names)
        self._columns["source"].append([self._sources - 1] * count if sources is None else sources)
        self._columns["offset"].append(rows.offsets)
        self._columns["length"].append(rows.lengths)
        classes, views = self._classes, self._views
        labels = [classes.setdefault(label, len(classes)) if label else -1 for label in rows.labels]
        self._columns["label"].append(labels)
        self._columns["split"].append([SPLITS.index(split) for split in rows.splits])
        self._columns["view"].append([views.setdefault(view, len(views)) for view in rows.views])
        self._columns["role"].append(rows.roles)
        self._columns["content"].append(np.frombuffer(b"".join(rows.contents), np.uint8))
        if "box" in self._columns:
            self._columns["box"].append([box or (np.nan,) * 4 for box in rows.boxes])
        self.images += count
        self.passed_over.join(rows.passed_over)

    def close(self, name: str, layout: str, notes: Sequence[str] = ()) -> None:
        """Write the record, after which the index is whole."""
        for column in (*self._columns.values(), *self._texts.values()):
            column.close()
        described = self.passed_over.described()
        content = IndexRecord(
            schema=SCHEMA,
            name=name,
            layout=layout,
            images=self.images,
            sources=self._sources,
            classes=tuple(self._classes),
            views=tuple(self._views),
            notes=(*notes, *([f"passed over: {described}"] if described else [])),
            columns={path.stem: sha256_file(path) for path in sorted(self._directory.glob("*.npy"))},
        )
        write_json(self._directory / RECORD, asdict(content))
