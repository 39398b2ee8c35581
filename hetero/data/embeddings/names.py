"""Names of images, one for each row of embeddings: read from files beside them, and compared."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hetero.data.names import composed, is_text
from hetero.errors import InputError

_SHOWN = 10


def names_beside(path: Path) -> list[str]:
    """Read the names in ``NAME.txt`` or ``NAME.csv`` beside a file of embeddings.

    Raises:
        InputError: When there are no names, or they are not UTF-8.
    """
    text, table = path.with_suffix(".txt"), path.with_suffix(".csv")
    if text.is_file():
        # A name may hold any character but a line feed, and str.splitlines splits at eight others.
        lines = (line.removesuffix("\r") for line in decoded_text(text).split("\n"))
        return [line for line in lines if line]
    if not table.is_file():
        raise InputError(
            f"{path} does not say which image each row is of; write the names, one a line in the rows' order, "
            f"to {text.name} beside it (or a column 'name' or 'path' to {table.name})"
        )
    try:
        reader = csv.DictReader(io.StringIO(decoded_text(table), newline=""), strict=True)
        column = next((name for name in ("name", "path") if name in (reader.fieldnames or ())), None)
        if column is None:
            raise InputError(f"{table}: expected a column 'name' or 'path', got {', '.join(reader.fieldnames or ())}")
        return [row[column] or "" for row in reader]
    except csv.Error as error:
        raise InputError(f"{table} is not a CSV file: {error}") from None


def decoded_text(path: Path) -> str:
    """Read a text file's content.

    Raises:
        InputError: When it is not UTF-8; names the line.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data.split(b"\n")[line - 1].decode("utf-8", "backslashreplace").strip()
        guess = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "ISO-8859-1"
        raise InputError(
            f"{path} is not UTF-8: line {line} is {text[:200]!r}; convert it, for instance with "
            f"`iconv -f {guess} -t UTF-8`"
        ) from None


def name_problems(names: Sequence[str]) -> list[str]:
    """Return the problems of names that should be unique."""
    problems: list[str] = []
    if len(set(names)) < len(names):
        earlier: set[str] = set()
        repeated = next(name for name in names if name in earlier or earlier.add(name))
        problems.append(f"names repeat, for instance {repeated!r}")
    if "" in names:
        problems.append(f"{names.count('')} names are empty, the first is row {names.index('')}")
    if broken := [name for name in names if not is_text(name)]:
        problems.append(f"{len(broken)} names cannot be written as UTF-8, for instance {broken[0]!a}")
    return problems


def missing_names(names: Iterable[str], row: Mapping[str, object]) -> list[str]:
    """Describe the names that are not known: the first ten, and known names that look the same."""
    alike = {composed(name): name for name in row}
    missing = [name for name in names if name not in row]
    lines = [
        f"{name!a} (the file has {alike[composed(name)]!a}, which looks the same: Unicode NFC and NFD)"
        if composed(name) in alike
        else name
        for name in missing[:_SHOWN]
    ]
    more = [f"... and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
    copies = sum(name.rpartition("#")[0] in row for name in missing)
    advice = (
        "copies (NAME#1, ...) of images that the file has: embed their pixels, too, which hetero.prepare gives (of "
        "training images, hetero.with_copies)"
    )
    return [*lines, *more, *([f"{copies} of them are {advice}"] if copies else [])]
