"""Checks of a folder's layout, which refuse it where a guess could mean training on the wrong classes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from hetero.data.sources.split_names import role_named, split_named, splits_among
from hetero.data.sources.walk import printable
from hetero.errors import InputError

FLAT = 'say layout = "flat" (hetero data check --layout flat)'
# 2023, 2023-07, 20230714, and the folders of the DCF standard: 100CANON.
_BY_A_CAMERA = re.compile(r"(19|20)\d\d([-_. ]?[01]\d([-_. ]?[0-3]\d)?)?|[1-9]\d\d[A-Z0-9_]{5}")
_SHOWN = 5
_ONLY_CLASSES = 'say layout = "classes" (hetero data check --layout classes) when all of them are classes'


def require_splits_alone(root: Path, folders: Sequence[str], loose: Sequence[str]) -> None:
    """Refuse folders named after splits beside others that hold images.

    Args:
        root: The data set's folder.
        folders: The folders in it that hold images; some name a split.
        loose: Images that lie beside them.
    """
    split_of = splits_among(folders)
    splits = [folder for folder in folders if folder in split_of or role_named(folder)]
    others = [folder for folder in folders if folder not in splits]
    if others or loose:
        raise InputError(
            f"{root}: folders named after splits ({_some(splits)}) stand beside others that hold images "
            f"({_some([*others, *loose])}); move those out of the folder or into a split (into one called unlabelled "
            f"when they only join training, without labels), or {_ONLY_CLASSES}; {FLAT} when no image has a label"
        )


def require_one_folder_each(root: Path, folders: Sequence[str]) -> None:
    """Refuse several folders for one split, and queries without a gallery or beside test images that are neither."""
    split_of = splits_among(folders)
    by_split: dict[str, list[str]] = {}
    for folder in folders:
        by_split.setdefault(role_named(folder) or split_of[folder], []).append(folder)
    problems = [f"{split}: {_some(names)}" for split, names in sorted(by_split.items()) if len(names) > 1]
    roles = {role_named(folder) for folder in folders} - {""}
    if roles and (len(roles) < 2 or "test" in by_split):
        problems.append(f"expected queries and gallery, both and without a test folder, found {_some(folders)}")
    if problems:
        raise InputError(f"{root}: expected one folder a split; join them, or {_ONLY_CLASSES}:", problems)


def require_plain_extra(root: Path, images: Iterable[tuple[str, ...]]) -> None:
    """Refuse folders inside one called ``extra``, because they may be classes with labelled images."""
    nested = [parts for parts in images if len(parts) > 2 and _is_extra(parts[0])]
    if nested:
        inside = sorted({parts[1] for parts in nested})
        raise InputError(
            f"{root / nested[0][0]} holds folders ({_some(inside)}), which may be classes; call it unlabelled when its "
            "images have no labels, or move them into the training images"
        )


def _is_extra(folder: str) -> bool:
    return split_named(folder) == "unlabelled" and "label" not in folder.casefold()


def require_pairs(split: Path, folders: Sequence[str]) -> None:
    """Refuse a split's queries without a gallery, or beside folders that are neither."""
    if sorted(role_named(folder) for folder in folders) != ["gallery", "query"]:
        raise InputError(
            f"{split}: expected folders for queries and gallery and none beside them, or else one folder a class; "
            f"found {_some(folders)}"
        )


def require_splits_outermost(root: Path, images: Iterable[tuple[tuple[str, ...], int]]) -> None:
    """Refuse folders named after splits that lie below the class folders.

    Args:
        root: The data set's folder.
        images: Parts of each image's path below it, and the number of them that are splits' folders.
    """
    inside: dict[tuple[str, ...], dict[str, bool]] = {}
    for parts, above in images:
        for depth in range(max(above - 1, 0), len(parts) - 2):
            folders = inside.setdefault(parts[: depth + 1], {})
            has_folders = len(parts) - depth > 3
            folders[parts[depth + 1]] = folders.get(parts[depth + 1], False) or has_folders
    splits_in = {place: splits_among(folders) for place, folders in inside.items()}
    several = [place for place, splits in splits_in.items() if len(set(splits.values())) > 1]
    if not several:
        return
    place = several[0]
    splits = sorted(splits_in[place])
    finding = f"{root.joinpath(*place)} holds folders named after splits ({_some(splits)})"
    if any(inside[place][split] for split in splits):
        names = [str(root.joinpath(*place)) for place in several]
        raise InputError(f"{root}: {finding}, so it looks like the data set itself; give that path: {_some(names)}")
    raise InputError(
        f"{root}: {finding}, below its classes; expected them above: train/CLASS/image, not CLASS/train/image "
        f"(so it is in {len(several)} folders), or describe the data in a CSV"
    )


def require_classes_outermost(root: Path, images: Sequence[tuple[str, ...]]) -> None:
    """Refuse a folder that holds only the data set's folder."""
    below = {parts[: depth + 1] for parts in images for depth in range(len(parts) - 1)}
    place: tuple[str, ...] = ()
    while len(inside := [parts for parts in below if len(parts) == len(place) + 1 and parts[:-1] == place]) == 1:
        place = inside[0]
    if place and inside:
        raise InputError(
            f"{root}: expected at least two classes, found one ({printable(place[0])!r}), whose folder holds others "
            f"({_some(sorted(parts[-1] for parts in inside))}); {FLAT} when no image has a "
            f"label; if these are the classes, give {root.joinpath(*place)}"
        )


def doubtful_classes(labels: Collection[str]) -> list[str]:
    """Return a note when every class has the name of a date, or of a camera's folder."""
    names = sorted(set(labels) - {""})
    if not names or not all(_BY_A_CAMERA.fullmatch(name) for name in names):
        return []
    return [f"folders are named after dates or by a camera ({_some(names)}); {FLAT} when these are no classes"]


def _some(names: Sequence[str]) -> str:
    text = ", ".join(printable(name) for name in names[:_SHOWN])
    return f"{text}, ... ({len(names)} in all)" if len(names) > _SHOWN else text
