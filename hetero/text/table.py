"""CSV tables of what texts describe."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from hetero.data.embeddings.names import decoded_text
from hetero.errors import InputError
from hetero.recognition.kinds import TABLE
from hetero.recognition.recognise import refuse_others

_NAMED = 10


def described(table: Path | None, texts: Iterable[str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the class of each text, or its images, as a table names them.

    Args:
        table: A CSV file with the column ``text`` and either ``label``, or ``path`` or ``name``; None for no table.
        texts: The texts that have a vector.

    Returns:
        Text -> class, and text -> names of images; one of them is empty.

    Raises:
        InputError: When there is no such table, or it does not fit the texts.
    """
    if table is None:
        return {}, {}
    _require_table(table)
    column, pairs = _pairs(table)
    known = set(texts)
    problems = [f"{text!r} has no vector" for text, _ in pairs if text not in known]
    problems += [f"{text!r} describes nothing: its {column} is empty" for text, thing in pairs if not thing]
    of: dict[str, list[str]] = defaultdict(list)
    for text, thing in dict.fromkeys(pairs):
        of[text].append(thing)
    if column == "label":
        problems += [f"{text!r} has several classes, {', '.join(all[:3])}" for text, all in of.items() if len(all) > 1]
    if not pairs:
        problems.append("it has no row")
    if problems:
        raise InputError(f"{table} does not fit the text vectors:", problems[:_NAMED])
    if column == "label":
        return {text: things[0] for text, things in of.items()}, {}
    return {}, {text: tuple(things) for text, things in of.items()}


def texts_of(table: Path) -> tuple[str, ...]:
    """Return the texts of a table, each once.

    Raises:
        InputError: When there is no such table.
    """
    _require_table(table)
    return tuple(dict.fromkeys(text for text, _ in _pairs(table)[1]))


def _require_table(table: Path) -> None:
    refuse_others(table, TABLE)
    if not table.is_file():
        raise InputError(f"expected a CSV file of what texts describe at {table}, found no file")


def _pairs(table: Path) -> tuple[str, list[tuple[str, str]]]:
    """Return the column of what is described, and each row's text with its entry there."""
    try:
        reader = csv.DictReader(io.StringIO(decoded_text(table), newline=""), strict=True)
        columns = reader.fieldnames or ()
        column = next((name for name in ("label", "path", "name") if name in columns), None)
        if "text" not in columns or column is None:
            raise InputError(
                f"{table}: expected the column text and label, path or name, got {', '.join(columns) or 'none'}"
            )
        return column, [(row["text"] or "", row[column] or "") for row in reader]
    except csv.Error as error:
        raise InputError(f"{table} is not a CSV file: {error}") from None
