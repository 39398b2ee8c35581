"""Image folders: one folder a class, with or without folders for the splits above; or images without labels.

Supported layouts (``*`` is any image, at any depth):

    root/train/CLASS/*  root/validation/CLASS/*  root/test/CLASS/*      in any usual spelling: see split_names.py
    root/train/CLASS/*  root/test/query/CLASS/*  root/test/gallery/CLASS/*
    root/train/CLASS/*  root/query/CLASS/*       root/gallery/CLASS/*
    root/train/CLASS/*  root/test/CLASS/*        root/unlabelled/*       beside splits: joins training, without labels
    root/CLASS/*                                                         splits are made up: see splits.py
    root/*                                                               no labels; splits are made up

A split whose images all lie directly in its folder has no labels either. When every image with a label lies one folder
below its class and the classes share those folders' names (``root/CLASS/VIEW/*``), these are views. Other files in the
folders are skipped: see walk.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from hetero.data.config import Layout
from hetero.data.sources.folder_problems import (
    FLAT,
    doubtful_classes,
    require_classes_outermost,
    require_one_folder_each,
    require_pairs,
    require_plain_extra,
    require_splits_alone,
    require_splits_outermost,
)
from hetero.data.sources.listing import ListedImage, Listing
from hetero.data.sources.split_names import Split, role_named, splits_among
from hetero.data.sources.walk import EXTENSIONS, FoundImages, images_below, printable
from hetero.errors import InputError

_PAIR = {"query", "gallery"}


@dataclass(frozen=True)
class _Place:
    """The meaning of an image's folders.

    Attributes:
        parts: Parts of its path below the root.
        above: Number of leading parts that are a split's or a role's folder.
        split: Split that the first of these names.
        role: ``query``, ``gallery`` or empty.
        labelled: True if the folder below is its class.
    """

    parts: tuple[str, ...]
    above: int = 0
    split: Split = ""
    role: str = ""
    labelled: bool = True

    def entry(self, root: Path) -> ListedImage:
        query = self.role == "query" if self.role else None
        gallery = self.role == "gallery" if self.role else None
        path, name = root.joinpath(*self.parts), printable("/".join(self.parts))
        label = printable(self.parts[self.above]) if self.labelled else ""
        return ListedImage(path, name, label, self.split, "", query, gallery)

    @property
    def is_loose(self) -> bool:
        """True if it lies where folders of classes are expected."""
        return len(self.parts) <= self.above + 1

    @property
    def below_class(self) -> tuple[str, ...]:
        return self.parts[self.above + 1 : -1]


def read_folder(root: Path, folders: Layout = "auto") -> Listing:
    """List the images of a folder.

    Args:
        root: The data set's folder.
        folders: Meaning of the folders in it: the ``layout`` of :class:`hetero.data.config.DataConfig`.

    Raises:
        InputError: When the folder is missing or holds no image, when some images lie in class folders and others
            beside them, and when folders named after splits lie where classes are expected or the other way round.
    """
    if not root.is_dir():
        kind = "a file" if root.exists() else "nothing"
        raise InputError(f"expected an image folder at {root}, found {kind}")
    return listed(root, images_below(root), folders)


def listed(root: Path, below: FoundImages, folders: Layout = "auto") -> Listing:
    """List images that were found below a folder, which may lie in a store; raises as :func:`read_folder` does."""
    images = below.images
    if not images:
        _refuse_empty(root, below)
    outermost = sorted({parts[0] for parts in images if len(parts) > 1})
    if folders == "flat" or (folders == "auto" and not outermost):
        return _flat(root, below, outermost)
    layout, only_classes = "", folders == "classes"
    if not only_classes and _names_splits(outermost):
        require_splits_alone(root, outermost, loose=[parts[0] for parts in images if len(parts) == 1])
        require_plain_extra(root, images)
        places, layout = _split_places(root, images, outermost)
    else:
        places = [_Place(parts) for parts in images]
    places = _without_labels(places)
    _require_class_folders(root, places)
    if not only_classes:
        require_splits_outermost(root, [(place.parts, place.above) for place in places if place.labelled])
    if not layout:
        require_classes_outermost(root, images)
    entries = [place.entry(root) for place in places]
    views = _views([(entry.label, place.below_class) for entry, place in zip(entries, places, strict=True)])
    if views:
        entries = [replace(entry, view=view) for entry, view in zip(entries, views, strict=True)]
    rest = "CLASS/VIEW/image" if views else "CLASS/image" if any(entry.label for entry in entries) else "image"
    where = f"{{{layout}}}/{rest}" if layout else f"{rest}, no splits"
    if without := sorted({place.parts[0] for place in places if not place.labelled}):
        where += f"; without labels: {printable(', '.join(without))}"
    notes = (*below.notes(), *doubtful_classes({entry.label for entry in entries}))
    return Listing(printable(root.name), where, tuple(entries), notes)


def _flat(root: Path, below: FoundImages, outermost: Sequence[str]) -> Listing:
    """List images without labels; the outermost folders are splits if all have splits' names, or else ignored."""
    splits = splits_among(outermost)
    loose = any(len(parts) == 1 for parts in below.images)
    places = [_Place(parts, labelled=False) for parts in below.images]
    where = "images without labels, no splits"
    if not loose and set(splits) == set(outermost) and len(set(splits.values())) > 1:
        require_one_folder_each(root, outermost)
        places = [replace(place, above=1, split=splits[place.parts[0]]) for place in places]
        where = f"{{{printable(', '.join(outermost))}}}/image, without labels"
    return Listing(printable(root.name), where, tuple(place.entry(root) for place in places), below.notes())


def _without_labels(places: Sequence[_Place]) -> list[_Place]:
    """Remove labels where a split's images all lie directly in its folder, or only join training."""
    within: dict[str, list[_Place]] = {}
    for place in places:
        if place.split:
            within.setdefault(place.parts[0], []).append(place)
    flat = {
        folder
        for folder, inside in within.items()
        if inside[0].split == "unlabelled" or all(place.is_loose and not place.role for place in inside)
    }
    return [replace(place, labelled=False) if place.split and place.parts[0] in flat else place for place in places]


def _names_splits(folders: Sequence[str]) -> bool:
    return bool(splits_among(folders)) or {role_named(name) for name in folders} >= _PAIR


def _split_places(root: Path, images: Iterable[tuple[str, ...]], outermost: Sequence[str]) -> tuple[list[_Place], str]:
    """Return the place of each image, and the layout for people."""
    require_one_folder_each(root, outermost)
    splits = splits_among(outermost)
    inside: dict[str, set[str]] = {folder: set() for folder in outermost}
    for parts in images:
        if len(parts) > 2:
            inside[parts[0]].add(parts[1])
    paired = {
        folder
        for folder, folders in inside.items()
        if splits.get(folder) not in (None, "unlabelled") and _are_pairs(root, folder, folders)
    }
    places: list[_Place] = []
    for parts in images:
        if role := role_named(parts[0]):
            places.append(_Place(parts, 1, "test", role))
        elif parts[0] in paired:
            places.append(_Place(parts, 2, splits[parts[0]], role_named(parts[1]) if len(parts) > 2 else ""))
        else:
            places.append(_Place(parts, 1, splits[parts[0]]))
    names = [f"{folder}/{{{','.join(sorted(inside[folder]))}}}" if folder in paired else folder for folder in outermost]
    return places, printable(", ".join(names))


def _are_pairs(root: Path, folder: str, inside: set[str]) -> bool:
    """Return True if a split's folders are its queries and its gallery, and not classes."""
    roles = [role_named(name) for name in inside]
    if not (set(roles) >= _PAIR or (roles and all(roles))):
        return False
    require_pairs(root / folder, sorted(inside))
    return True


def _refuse_empty(root: Path, below: FoundImages) -> NoReturn:
    other = "".join(f"; {note}" for note in below.notes())
    raise InputError(
        f"{root}: expected images ({' '.join(sorted(EXTENSIONS))}) in folders named after their classes, "
        f"found none{other}"
    )


def _require_class_folders(root: Path, places: Iterable[_Place]) -> None:
    loose = [place.parts for place in places if place.labelled and place.is_loose]
    if loose:
        folder, first = root.joinpath(*loose[0][:-1]), printable(loose[0][-1])
        beside = sum(parts[:-1] == loose[0][:-1] for parts in loose)
        raise InputError(
            f"{folder}: expected one folder a class, found {beside} images beside them ({first}, ...); "
            f"move each into the folder of its class, or describe the data in a CSV; {FLAT} when no image has a label"
        )


def _views(images: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Return the folder of each image below its class, if all images with a class have one and classes share them."""
    if any(len(below) != 1 for label, below in images if label):
        return []
    classes_of: dict[str, set[str]] = {}
    for label, below in images:
        if not label:
            continue
        classes_of.setdefault(below[0], set()).add(label)
    if len(classes_of) < 2 or any(len(classes) < 2 for classes in classes_of.values()):
        return []
    return [printable(below[0]) if label else "" for label, below in images]
