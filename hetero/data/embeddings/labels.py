"""The class of each image, by its name: from a CSV file, or from the folder that it lies in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int64

from hetero.data.embeddings.names import decoded_text, missing_names
from hetero.errors import InputError
from hetero.recognition.kinds import TABLE
from hetero.recognition.recognise import refuse_others


def labels_by_name(table: Path | None, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Look up the class of each name, as a number.

    Args:
        table: See :func:`classes_by_name`.
        names: Names of the images, as in the file of embeddings.

    Returns:
        int64 [n]; equal numbers are equal classes.

    Raises:
        InputError: In the same cases as :func:`classes_by_name`.
    """
    return np.unique(classes_by_name(table, names), return_inverse=True)[1]


def classes_by_name(table: Path | None, names: Sequence[str]) -> list[str]:
    """Look up the class of each name.

    Args:
        table: A CSV file with the columns ``label`` and ``path`` (or ``name``); other columns are ignored. Without
            it, an image's class is the folder that it lies in.
        names: Names of the images, as in the file of embeddings.

    Raises:
        InputError: When the file is not such a table, or names have no class; names the first ten and their number.
    """
    classes = {name: _folder(name) for name in names} if table is None else _read(table)
    missing = [name for name in names if not classes.get(name)]
    if missing:
        where = f"{table} has no label" if table else "no folder, hence no class; give a CSV file of labels,"
        raise InputError(
            f"{where} for {len(missing)} of {len(names)} images:",
            missing_names(missing, classes),
        )
    return [classes[name] for name in names]


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.name


def _read(table: Path) -> dict[str, str]:
    refuse_others(table, TABLE)
    if not table.is_file():
        raise InputError(
            f"expected a CSV file of labels at {table}, found {'a folder' if table.is_dir() else 'nothing'}"
        )
    with io.StringIO(decoded_text(table), newline="") as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or ()
        name = next((column for column in ("path", "name") if column in columns), None)
        if name is None or "label" not in columns:
            raise InputError(
                f"{table}: expected the columns label and path (or name), got {', '.join(columns) or 'none'}"
            )
        labels: dict[str, str] = {}
        for row in reader:
            if labels.setdefault(row[name], row["label"]) != row["label"]:
                raise InputError(
                    f"{table}: {row[name]!r} has several labels, {labels[row[name]]!r} and {row['label']!r}"
                )
    return labels
