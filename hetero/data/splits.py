"""Splits: those of the data, or else generated ones from a seed.

A generated split depends on the images' names and the seed alone. Held-out classes measure retrieval of things never
seen in training; held-out images of every class measure retrieval among known classes. With few classes (a category
data set) only the second leaves enough to train on. Without labels, images are held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from hetero.data.config import DataConfig
from hetero.data.sources.listing import Listing
from hetero.data.sources.rows import LEFT_OUT, SPLITS, Rows
from hetero.data.sources.split_names import JUDGED, SETS, Split
from hetero.errors import InputError

CLASSES_FOR_CLASS_SPLIT = 20


def shuffled(names: Iterable[str], seed: int) -> Int64[np.ndarray, " n"]:
    """Return the places of names in an order that depends on the seed and the names only.

    Sorting by a digest is the same for all library versions and platforms, which random generators do not guarantee,
    and a name added later does not change the order of the others.
    """
    digests = b"".join(hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names)
    return np.argsort(np.frombuffer(digests, "S32"), kind="stable")


def assign_splits(listing: Listing, config: DataConfig) -> Listing:
    """Give every image of a listing a split, as :func:`with_splits` does.

    Returns:
        A listing ordered train, validation, test; its notes name the generated splits.

    Raises:
        InputError: When there is nothing to train on or nothing to test on.
    """
    rows = with_splits(listing.rows(), config)
    entries = (listing.entries[row].moved(split) for split in SETS for row in rows.of(split).tolist())
    return replace(listing, entries=tuple(entries), notes=rows.notes)


def with_splits(rows: Rows, config: DataConfig) -> Rows:
    """Give every image one of the splits train, validation and test, or leave it out.

    Data with only train and validation are read as train and test (as are the tables of open-metric-learning, which
    report figures on ``validation``), and a new validation set is taken from train.

    Args:
        rows: Labels and names, and the splits that the data have.
        config: Its ``split``, ``test_share``, ``validation_share`` and ``seed`` are used.

    Images of split ``unlabelled`` join the training images once the other splits are assigned; where there are no
    others, they are the training images. Validation and test images without a label are left out where others have one,
    because without a class nobody can say if finding them is right.

    Raises:
        InputError: When there is nothing to train on or nothing to test on.
    """
    rows.require_classes()
    if not len(rows.of("train")) and not len(rows.of("")):
        rows = _joined(rows)
    present = [split for split in SPLITS if split != "unlabelled" and len(rows.of(split))]
    if present == [""]:
        rows = _hold_out(rows, "", "test", config, _manner(rows, config))
        rows = rows.moved(rows.of(""), "train")
        rows = _hold_out(rows, "train", "validation", config, _manner(rows, config))
    elif "train" not in present:
        raise InputError(f"{rows.name}: expected training images (split train), found only {', '.join(present)}")
    elif present == ["train"]:
        raise InputError(
            f"{rows.name}: expected test images beside the training images, found none; add a test folder (split "
            "test in a CSV), or give the class folders without a train folder above them to have a split made up"
        )
    elif "test" not in present:
        note = "there is no test split: validation is used as test, and a new validation split is made up"
        rows = _hold_out_like_test(rows.moved(rows.of("validation"), "test", note), config)
    elif "validation" not in present:
        rows = _hold_out_like_test(rows, config)
    rows = _judged_by_labels(_joined(rows))
    rows = rows.moved(rows.of(""), None)
    rows.require_classes()
    return rows


def _joined(rows: Rows) -> Rows:
    """Move the images of split ``unlabelled`` to the training images."""
    joining = rows.of("unlabelled")
    return rows.moved(joining, "train", f"{len(joining)} images without labels join training") if len(joining) else rows


def _judged_by_labels(rows: Rows) -> Rows:
    """Leave out unlabelled validation and test images where there are labelled ones."""
    for split in JUDGED:
        of_split = rows.of(split)
        without = of_split[rows.labels[of_split] < 0]
        if len(without) and rows.labelled(split):
            rows = rows.moved(
                without, None, f"{split}: {len(without)} images without a label left out, others have one"
            )
    return rows


def _manner(rows: Rows, config: DataConfig) -> str:
    if config.split != "auto":
        return config.split
    labels = np.unique(rows.labels[rows.splits != LEFT_OUT])
    return "class" if int((labels >= 0).sum()) >= CLASSES_FOR_CLASS_SPLIT else "image"


def _hold_out_like_test(rows: Rows, config: DataConfig) -> Rows:
    of_train, of_test = rows.classes_of("train"), rows.classes_of("test")
    are_new = len(of_test) > 0 and not np.isin(of_test, of_train).any()
    manner = config.split if config.split != "auto" else ("class" if are_new else "image")
    return _hold_out(rows, "train", "validation", config, manner)


def _hold_out(rows: Rows, source: Split, target: Split, config: DataConfig, manner: str) -> Rows:
    share = config.test_share if target == "test" else config.validation_share
    candidates = rows.of(source)
    labelled = candidates[rows.labels[candidates] >= 0]
    if len(labelled):
        # Labels are a better measure than altered copies.
        choose = _classes_to_hold_out if manner == "class" else _images_to_hold_out
        chosen = choose(rows, labelled, share, config.seed)
        classes = len(np.unique(rows.labels[chosen]))
        part = f"{classes} whole classes" if manner == "class" else f"images of {classes} classes"
    else:
        chosen, part = _unlabelled_to_hold_out(rows, candidates, share, config.seed), "images without labels"
    if not len(chosen):
        raise InputError(f"{rows.name}: too few images to hold any out for {target}; bring a {target} split")
    return rows.moved(chosen, target, f"{target} split made up (seed {config.seed}): {part}, {len(chosen)} images")


def _classes_to_hold_out(
    rows: Rows, labelled: Int64[np.ndarray, " m"], share: float, seed: int
) -> Int64[np.ndarray, " k"]:
    classes = np.unique(rows.labels[labelled])
    count = max(2, round(share * len(classes)))
    if len(classes) - count < 2:
        raise InputError(
            f"expected at least 4 classes to hold two out and keep two, found {len(classes)}; "
            'split by image instead (split = "image"), or bring more classes'
        )
    order = shuffled((rows.classes[label] for label in classes.tolist()), seed)
    return labelled[np.isin(rows.labels[labelled], classes[order[:count]])]


def _unlabelled_to_hold_out(
    rows: Rows, candidates: Int64[np.ndarray, " m"], share: float, seed: int
) -> Int64[np.ndarray, " k"]:
    count = max(2, round(share * len(candidates)))
    if len(candidates) - count < 2:
        return candidates[:0]
    return candidates[shuffled(rows.names_of(candidates), seed)[:count]]


def _images_to_hold_out(
    rows: Rows, labelled: Int64[np.ndarray, " m"], share: float, seed: int
) -> Int64[np.ndarray, " k"]:
    """Choose the first images of every class, in shuffled order."""
    order = labelled[shuffled(rows.names_of(labelled), seed)]
    order = order[np.argsort(rows.labels[order], kind="stable")]
    _, starts, sizes = np.unique(rows.labels[order], return_index=True, return_counts=True)
    counts = np.round(share * sizes).astype(np.int64)
    if not counts.any():
        counts[:] = 1
    # A single image could neither find another of its class nor be found.
    counts = np.where(counts == 1, np.where(sizes >= 4, 2, 0), counts)
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    return order[place < np.repeat(counts, sizes)]
