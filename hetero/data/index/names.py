"""Names of shards within a data set, and the splits that they state."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hetero.data.sources.split_names import Split, split_named, splits_among
from hetero.data.sources.walk import printable

# data-00000-of-00012, train_000
_NUMBER = re.compile(r"([-_.]?\d+)?([-_.]of[-_.]\d+)?$")

_SUFFIX = re.compile(r"\.[^./]*$")


def shard_names(paths: Sequence[str]) -> list[str]:
    """Return a name for each file, independent of the place of all: its path below their folder.

    Names have no suffix, unless some files differ in it alone.
    """
    folders = [path.split("/")[:-1] for path in paths]
    lowest, highest = min(folders), max(folders)
    common = next((depth for depth, pair in enumerate(zip(lowest, highest, strict=False)) if pair[0] != pair[1]), None)
    common = min(len(lowest), len(highest)) if common is None else common
    names = [printable("/".join(path.split("/")[common:])) for path in paths]
    plain = [_SUFFIX.sub("", name) for name in names]
    return plain if len(set(plain)) == len(plain) else names


def shard_splits(names: Sequence[str]) -> list[Split]:
    """Return the split that each name states; empty for all of them when one states none.

    ``train-0001``, ``imagenet-val-0001`` beside ``imagenet-train-0001``, ``validation/data-00000-of-00002``.
    """
    parts = [_SUFFIX.sub("", name).split("/") for name in names]
    for place in range(max(map(len, parts))):
        own = [_NUMBER.sub("", part[place]) if place < len(part) else "" for part in parts]
        among = splits_among(sorted(set(own)))
        splits: list[Split] = [among.get(name) or split_named(name) for name in own]
        if all(splits):
            return splits
    return [""] * len(names)
