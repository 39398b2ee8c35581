"""The usual spellings of a split's name, of queries and gallery, and of images that only join training."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

Split = Literal["train", "validation", "test", "unlabelled", ""]
"""``unlabelled`` images join those of ``train``, whose labels they lack; empty when the data names no split."""
SETS: tuple[Split, ...] = ("train", "validation", "test")
"""The splits that a data set ends up with, in order."""
JUDGED: tuple[Split, ...] = ("validation", "test")
"""Those that have tasks."""
Role = Literal["query", "gallery", ""]

_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "tr"), "train"),
    **dict.fromkeys(("validation", "validate", "val", "valid", "dev", "devel"), "validation"),
    **dict.fromkeys(("test", "testing", "tests", "tst", "te", "eval", "evaluation"), "test"),
    **dict.fromkeys(("unlabelled", "unlabeled", "extra"), "unlabelled"),
}
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("query", "queries", "probe", "probes"), "query"),
    **dict.fromkeys(("gallery", "galleries"), "gallery"),
}
# Words that people add before or after: train_images, imagesTr, Val-Set, test2017.
_BESIDE = frozenset(
    (
        *("set", "split", "data", "dataset", "folder", "dir", "sample", "samples"),
        *("image", "images", "img", "imgs", "photo", "photos", "pic", "pics", "picture", "pictures"),
    )
)
# Too short to be trusted on their own.
_NOT_ALONE = frozenset(("tr", "te"))


def split_named(name: str) -> Split:
    """Return the split that a folder or a table's cell names; empty when it names none."""
    words = _words(name)
    return _SPLITS.get(_only(words, _SPLITS), "")


def splits_among(names: Collection[str]) -> dict[str, Split]:
    """Return the names of splits among folders that lie side by side, with the split of each.

    Side by side, ``birds-train`` and ``birds-test`` are splits, too, because they differ in the split alone.
    """
    result: dict[str, Split] = {name: split for name in names if (split := split_named(name))}
    by_rest: dict[tuple[str, ...], dict[str, Split]] = {}
    for name in names:
        words = [word for word in _words(name) if word not in _BESIDE]
        splits = [word for word in words if word in _SPLITS and word not in _NOT_ALONE]
        if len(splits) == 1 and name not in result:
            rest = tuple(word for word in words if word not in splits)
            by_rest.setdefault(rest, {})[name] = _SPLITS[splits[0]]
    for alike in by_rest.values():
        if "train" in alike.values() and len(set(alike.values())) > 1:
            result |= alike
    return result


def role_named(name: str) -> Role:
    """Return the role that a folder is named after, queries or gallery; empty when neither."""
    return _ROLES.get(_only(_words(name), _ROLES), "")


def _words(name: str) -> list[str]:
    """Split a name into words, without digits: ``imagesTr_2017`` -> images, tr."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return re.findall(r"[^\W\d_]+", apart.casefold())


def _only(words: list[str], known: Collection[str]) -> str:
    """Return the known word, if all others are words that people add to it."""
    rest = [word for word in words if word not in _BESIDE]
    if len(rest) != 1:
        return ""
    word = rest[0]
    for beside in ("set", "images", "data", "split"):
        if word not in known and word.removesuffix(beside) in known:
            word = word.removesuffix(beside)
    return word if word not in _NOT_ALONE or len(words) > 1 else ""
