"""Tables of images, with the columns of open-metric-learning.

    label, split, path, is_query, is_gallery   and optionally   x_1, y_1, x_2, y_2, view

``split`` is train, validation (or val), test, or unlabelled for images that only join training. An empty cell means no
label; if no image has one, the column may be left out. ``is_query`` and ``is_gallery`` give the roles of the validation
and test images; leave both columns out for leave-one-out. The box, in pixels of the upright image, cuts the object
out. Other columns are ignored.
Source of the format: https://open-metric-learning.readthedocs.io (retrieval dataset format).
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from hetero.data.names import composed
from hetero.data.sources.listing import Box, ListedImage, Listing, unique_names
from hetero.data.sources.split_names import split_named
from hetero.data.sources.walk import reserved
from hetero.errors import InputError

REQUIRED = ("path", "split")
LABEL = "label"
# Other tables' names for the label; if such a column were ignored, the images would be trained on without labels.
_CALLED = ("class", "category", "target", "y")
ROLES = ("is_query", "is_gallery")
BOX = ("x_1", "y_1", "x_2", "y_2")
_BOOLEAN = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_MISSING = ("", "nan", "none", "null")
_MOST_SHOWN = 100


def read_csv(path: Path, root: Path | None = None) -> Listing:
    """List the images of a table.

    Args:
        path: The CSV file, UTF-8.
        root: Folder that its paths are relative to; default the CSV's own folder.

    Raises:
        InputError: With every wrong column, or else every wrong row.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"expected a CSV file at {path}, found {kind}")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return read_rows(stream, path, root or path.parent)


def read_rows(stream: Iterable[str], path: Path, root: Path, *, on_disk: bool = True) -> Listing:
    """List the images of an open table.

    Args:
        stream: Lines of the table.
        path: Its path in messages.
        root: Folder that its paths are relative to.
        on_disk: True to require that each file exists.

    Raises:
        InputError: With every wrong column, or else every wrong row.
    """
    try:
        reader = csv.reader(stream, strict=True)
        columns = [column.strip() for column in next(reader, [])]
        _check_columns(path, columns)
        numbered = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error}") from None
    rows = _Rows(root, columns, on_disk=on_disk)
    entries = [entry for line, row in numbered if (entry := rows.read(line, row)) is not None]
    if rows.problems:
        lines = rows.problems[:_MOST_SHOWN]
        more = len(rows.problems) - len(lines)
        raise InputError(
            f"{path}: {len(rows.problems)} problems in {len(numbered)} rows:",
            [*lines, f"... and {more} more"] if more else lines,
        )
    if not entries:
        raise InputError(f"{path}: expected one row an image, found none below the header")
    ordered = sorted(unique_names(entries), key=lambda entry: entry.name)
    return Listing(path.name, f"CSV with {', '.join(column for column in columns if column)}", tuple(ordered))


def _check_columns(path: Path, columns: list[str]) -> None:
    problems: list[str] = []
    known = (LABEL, *REQUIRED, *ROLES, *BOX, "view")
    groups = [group for group in (REQUIRED, ROLES, BOX) if group is REQUIRED or set(group) & set(columns)]
    missing = [column for group in groups for column in group if column not in columns]
    unknown = [column for column in columns if column and column not in known]
    if LABEL not in columns and (missing or set(_CALLED) & set(unknown) or get_close_matches(LABEL, unknown, 1, 0.75)):
        missing = [LABEL, *missing]
    for column in missing:
        near = get_close_matches(column, unknown, 1, 0.75)
        near = near or [name for name in _CALLED if column == LABEL and name in unknown]
        problems.append(f"column {column!r} is missing" + (f"; did you mean it by {near[0]!r}?" if near else ""))
    for column in unknown:
        near = get_close_matches(column, [name for name in known if name not in columns + missing], 1, 0.85)
        problems += [f"column {column!r} is unknown; did you mean {near[0]!r}?"] if near else []
    if LABEL not in (*columns, *missing) and set(ROLES) & set(columns):
        problems.append(f"column {LABEL!r} is missing: {' and '.join(ROLES)} say who searches for whose class")
    if len(set(columns)) < len(columns):
        problems.append("column names repeat")
    if problems:
        header = ", ".join(columns) or "an empty file"
        raise InputError(
            f"{path}: expected the columns {', '.join((LABEL, *REQUIRED))} ({LABEL} where images have labels, "
            f"with {' and '.join(ROLES)} for separate queries and gallery, {', '.join(BOX)} for boxes), came: {header}",
            problems,
        )


class _Rows:
    """Turns rows into entries and collects their problems."""

    def __init__(self, root: Path, columns: list[str], *, on_disk: bool) -> None:
        self.problems: list[str] = []
        self._on_disk = on_disk
        self._root = root
        self._columns = columns
        self._has_roles = ROLES[0] in columns
        self._has_boxes = BOX[0] in columns
        self._names: dict[Path, dict[str, str]] = {}

    def read(self, line: int, row: list[str]) -> ListedImage | None:
        before = len(self.problems)
        if len(row) != len(self._columns):
            self._report(line, f"expected {len(self._columns)} fields as in the header, found {len(row)}")
            return None
        value = {column: text.strip() for column, text in zip(self._columns, row, strict=True)}
        label, relative, split_name = value.get(LABEL, ""), value["path"], value["split"]
        split = split_named(split_name)
        if not split:
            self._report(line, f"split must be train, validation, test or unlabelled, got {split_name!r}")
        if split == "unlabelled" and label:
            self._report(line, f"an image of split unlabelled has no label, got {label!r}; leave it out, or say train")
        file = self._root / relative
        if not relative:
            self._report(line, "the path is missing")
        elif reason := self._reserved(Path(relative)):
            self._report(line, f"{relative} is {reason}, and no image of a data set; remove the row")
        elif self._on_disk and not file.is_file():
            alike = self._alike(file)
            self._report(line, f"no file at {file}" + (f", but {alike}" if alike else ""))
        judged = label and split in ("validation", "test")
        query, gallery = self._roles(line, value) if self._has_roles and judged else (None, None)
        box = self._box(line, value) if self._has_boxes else None
        if len(self.problems) > before:
            return None
        return ListedImage(file, Path(relative).as_posix(), label, split, value.get("view", ""), query, gallery, box)

    def _alike(self, file: Path) -> str:
        """Describe a file whose name only looks like this one."""
        if file.parent not in self._names and file.parent.is_dir():
            self._names[file.parent] = {composed(name): name for name in os.listdir(file.parent)}  # noqa: PTH208
        name = self._names.get(file.parent, {}).get(composed(file.name))
        return f"{name!a} there looks like {file.name!a} (Unicode NFC and NFD)" if name else ""

    def _reserved(self, path: Path) -> str:
        """Return the reason that a walk through the root would skip a file; outside the root only its name counts."""
        inside = not path.is_absolute() and ".." not in path.parts
        return next(filter(None, map(reserved, path.parts if inside else path.parts[-1:])), "")

    def _roles(self, line: int, value: dict[str, str]) -> tuple[bool | None, bool | None]:
        flags = [self._boolean(line, column, value[column]) for column in ROLES]
        if flags == [False, False]:
            self._report(line, "neither is_query nor is_gallery is true: the image would not be used")
        return flags[0], flags[1]

    def _boolean(self, line: int, column: str, text: str) -> bool | None:
        flag = _BOOLEAN.get(text.lower())
        if flag is None:
            self._report(line, f"{column} must be true or false for a validation or test image, got {text!r}")
        return flag

    def _box(self, line: int, value: dict[str, str]) -> Box | None:
        texts = [value[column] for column in BOX]
        if all(text.lower() in _MISSING for text in texts):
            return None
        try:
            left, top, right, bottom = (float(text) for text in texts)
        except ValueError:
            self._report(line, f"{', '.join(BOX)} must be four numbers, got {', '.join(map(repr, texts))}")
            return None
        good = all(map(math.isfinite, (left, top, right, bottom))) and 0 <= left < right and 0 <= top < bottom
        if not good:
            self._report(line, f"a box needs 0 <= x_1 < x_2 and 0 <= y_1 < y_2, got {', '.join(texts)}")
        return (left, top, right, bottom)

    def _report(self, line: int, problem: str) -> None:
        self.problems.append(f"line {line}: {problem}")
