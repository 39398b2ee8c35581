"""Image folders: one folder a class, with or without folders for the splits above.

Layouts that are understood (``*`` any image, at any depth):

    root/train/CLASS/*  root/validation/CLASS/*  root/test/CLASS/*      val and valid mean validation
    root/train/CLASS/*  root/test/query/CLASS/*  root/test/gallery/CLASS/*
    root/train/CLASS/*  root/query/CLASS/*       root/gallery/CLASS/*
    root/CLASS/*                                                         splits are made up: see splits.py

When every image lies one folder below its class and the classes share those folders' names
(``root/CLASS/VIEW/*``), these are views.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from hetero.data.listing import EXTENSIONS, SPLIT_NAMES, Entry, Listing, Split
from hetero.errors import InputError

_ROLES = {"query", "gallery"}


def read_folder(root: Path) -> Listing:
    """List the images of a folder.

    Args:
        root: The data set's folder.

    Raises:
        InputError: When the folder is missing, holds no image, or holds images outside of class folders.
    """
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise InputError(f"expected an image folder at {root}, found {what}")
    folders = _folders(root)
    if "train" in {SPLIT_NAMES.get(folder.name) for folder in folders}:
        return _with_views(_split_layout(root, folders))
    entries, ignored = _classes(root, root)
    _require_images(root, entries, ignored)
    return _with_views(Listing(root.name, "CLASS/image, no splits", tuple(entries), _ignored_note(ignored)))


def _split_layout(root: Path, folders: list[Path]) -> Listing:
    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    others: list[str] = []
    layout: list[str] = []
    for folder in folders:
        split: Split = "test" if folder.name in _ROLES else SPLIT_NAMES.get(folder.name, "")
        if not split:
            others.append(folder.name)
            continue
        if folder.name in _ROLES:
            found, other = _role(root, folder, split)
            layout.append(folder.name)
        else:
            found, other = _split(root, folder, split)
            roles = (
                sorted({part.name for part in _folders(folder)} & _ROLES)
                if found and found[0].is_query is not None
                else []
            )
            layout.append(f"{folder.name}/{{{','.join(roles)}}}" if roles else folder.name)
        entries += found
        ignored += other
    _require_images(root, entries, ignored)
    notes = _ignored_note(ignored)
    if others:
        notes += (f"folders beside train that name no split were ignored: {', '.join(others)}",)
    return Listing(root.name, f"{{{', '.join(layout)}}}/CLASS/image", tuple(entries), notes)


def _split(root: Path, folder: Path, split: Split) -> tuple[list[Entry], Counter[str]]:
    parts = _folders(folder)
    if {part.name for part in parts} != _ROLES:
        found, ignored = _classes(root, folder)
        return [entry.moved(split) for entry in found], ignored
    entries: list[Entry] = []
    total: Counter[str] = Counter()
    for part in parts:
        found, ignored = _role(root, part, split)
        entries += found
        total += ignored
    return entries, total


def _role(root: Path, folder: Path, split: Split) -> tuple[list[Entry], Counter[str]]:
    found, ignored = _classes(root, folder)
    query = folder.name == "query"
    return [replace(entry, split=split, is_query=query, is_gallery=not query) for entry in found], ignored


def _classes(root: Path, folder: Path) -> tuple[list[Entry], Counter[str]]:
    """Images of the class folders in ``folder``, and how many files of other kinds there are, by extension."""
    loose = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
    if loose:
        raise InputError(
            f"{folder}: expected one folder a class, found {len(loose)} images beside them ({loose[0]}, ...); "
            "move each into the folder of its class, or describe the data in a CSV"
        )
    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    for class_folder in _folders(folder):
        for path in sorted(class_folder.rglob("*")):
            if path.name.startswith(".") or not path.is_file():
                continue
            if path.suffix.lower() in EXTENSIONS:
                entries.append(Entry(path, path.relative_to(root).as_posix(), class_folder.name))
            else:
                ignored[path.suffix.lower() or "no extension"] += 1
    return entries, ignored


def _with_views(listing: Listing) -> Listing:
    """Take folders below the classes as views when all images have one and the classes share the names."""
    below = {entry.name: _below_class(entry) for entry in listing.entries}
    if any(len(parts) != 1 for parts in below.values()):
        return listing
    classes_of: dict[str, set[str]] = {}
    for entry in listing.entries:
        classes_of.setdefault(below[entry.name][0], set()).add(entry.label)
    if len(classes_of) < 2 or any(len(classes) < 2 for classes in classes_of.values()):
        return listing
    entries = tuple(replace(entry, view=below[entry.name][0]) for entry in listing.entries)
    return replace(listing, entries=entries, layout=listing.layout.replace("CLASS/", "CLASS/VIEW/"))


def _below_class(entry: Entry) -> tuple[str, ...]:
    folders = Path(entry.name).parts[:-1]
    start = 1 if entry.split else 0
    start += entry.is_query is not None and folders[0] not in _ROLES
    return folders[start + 1 :]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX")))


def _require_images(root: Path, entries: list[Entry], ignored: Counter[str]) -> None:
    if entries:
        return
    other = f"; found {_counts(ignored)}" if ignored else ""
    raise InputError(
        f"{root}: expected images ({' '.join(sorted(EXTENSIONS))}) in folders named after their classes, "
        f"found none{other}"
    )


def _ignored_note(ignored: Counter[str]) -> tuple[str, ...]:
    return (f"files that are not images by their extension were ignored: {_counts(ignored)}",) if ignored else ()


def _counts(ignored: Counter[str]) -> str:
    return ", ".join(f"{count} {extension}" for extension, count in sorted(ignored.items()))
