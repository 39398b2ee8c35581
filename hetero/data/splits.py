"""Splits: those of the data, or else generated ones from a seed.

A generated split depends on the images' names and the seed alone. Held-out classes measure retrieval of things never
seen in training; held-out images of every class measure retrieval among known classes. With few classes (a category
data set) only the second leaves enough to train on. Without labels, images are held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hetero.data.config import DataConfig
from hetero.data.sources.listing import ListedImage, Listing
from hetero.data.sources.split_names import Split
from hetero.errors import InputError
from hetero.files import sha256_bytes

CLASSES_FOR_CLASS_SPLIT = 20
_ORDER: tuple[Split, ...] = ("train", "validation", "test")


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Return names in an order that depends on the seed and the names only.

    Sorting by a digest is the same for all library versions and platforms, which random generators do not guarantee,
    and a name added later does not change the order of the others.
    """
    return sorted(names, key=lambda name: (sha256_bytes(f"{seed}/{name}".encode()), name))


def assign_splits(listing: Listing, config: DataConfig) -> Listing:
    """Give every image a split.

    Data with only train and validation are read as train and test (as are the tables of open-metric-learning, which
    report figures on ``validation``), and a new validation set is taken from train.

    Args:
        listing: The images of a folder or a table.
        config: Its ``split``, ``test_share``, ``validation_share`` and ``seed`` are used.

    Images of split ``unlabelled`` join the training images once the other splits are assigned; where there are no
    others, they are the training images. Validation and test images without a label are left out where others have one,
    because without a class nobody can say if finding them is right.

    Returns:
        A listing ordered train, validation, test; its notes name the generated splits.

    Raises:
        InputError: When there is nothing to train on or nothing to test on.
    """
    listing.require_classes()
    if not any(entry.split in ("train", "") for entry in listing.entries):
        listing = _joined(listing)
    present = {entry.split for entry in listing.entries} - {"unlabelled"}
    if present == {""}:
        listing = _hold_out(listing, "", "test", config, _manner(listing, config))
        listing = listing.with_entries(entry if entry.split else entry.moved("train") for entry in listing.entries)
        listing = _hold_out(listing, "train", "validation", config, _manner(listing, config))
    elif "train" not in present:
        raise InputError(f"{listing.name}: expected training images (split train), found only {', '.join(present)}")
    elif present == {"train"}:
        raise InputError(
            f"{listing.name}: expected test images beside the training images, found none; add a test folder (split "
            "test in a CSV), or give the class folders without a train folder above them to have a split made up"
        )
    elif "test" not in present:
        note = "there is no test split: validation is used as test, and a new validation split is made up"
        moved = [entry.moved("test") if entry.split == "validation" else entry for entry in listing.entries]
        listing = _hold_out_like_test(listing.with_entries(moved, note), config)
    elif "validation" not in present:
        listing = _hold_out_like_test(listing, config)
    listing = _judged_by_labels(_joined(listing))
    ordered = [entry for split in _ORDER for entry in listing.of(split)]
    result = listing.with_entries(ordered)
    result.require_classes()
    return result


def _joined(listing: Listing) -> Listing:
    """Move the images of split ``unlabelled`` to the training images."""
    count = len(listing.of("unlabelled"))
    moved = (entry.moved("train") if entry.split == "unlabelled" else entry for entry in listing.entries)
    return listing.with_entries(moved, f"{count} images without labels join training") if count else listing


def _judged_by_labels(listing: Listing) -> Listing:
    """Leave out unlabelled validation and test images where there are labelled ones."""
    for split in ("validation", "test"):
        count = sum(not entry.label for entry in listing.of(split))
        if count and listing.labelled(split):
            entries = [entry for entry in listing.entries if entry.label or entry.split != split]
            listing = listing.with_entries(
                entries, f"{split}: {count} images without a label left out, others have one"
            )
    return listing


def _manner(listing: Listing, config: DataConfig) -> str:
    if config.split != "auto":
        return config.split
    classes = {entry.label for entry in listing.entries if entry.label}
    return "class" if len(classes) >= CLASSES_FOR_CLASS_SPLIT else "image"


def _hold_out_like_test(listing: Listing, config: DataConfig) -> Listing:
    of_train, of_test = ({entry.label for entry in listing.of(split)} - {""} for split in ("train", "test"))
    are_new = bool(of_test) and not of_train & of_test
    manner = config.split if config.split != "auto" else ("class" if are_new else "image")
    return _hold_out(listing, "train", "validation", config, manner)


def _hold_out(listing: Listing, source: Split, target: Split, config: DataConfig, manner: str) -> Listing:
    share = config.test_share if target == "test" else config.validation_share
    entries = listing.of(source)
    if labelled := [entry for entry in entries if entry.label]:
        # Labels are a better measure than altered copies.
        choose = _classes_to_hold_out if manner == "class" else _images_to_hold_out
        names = choose(labelled, share, config.seed)
    else:
        names = _unlabelled_to_hold_out(entries, share, config.seed)
    moved = [entry.moved(target) if entry.name in names else entry for entry in listing.entries]
    classes = len({entry.label for entry in labelled if entry.name in names})
    part = f"{classes} whole classes" if manner == "class" else f"images of {classes} classes"
    part = part if labelled else "images without labels"
    note = f"{target} split made up (seed {config.seed}): {part}, {len(names)} images"
    if not names:
        raise InputError(f"{listing.name}: too few images to hold any out for {target}; bring a {target} split")
    return listing.with_entries(moved, note)


def _classes_to_hold_out(entries: Sequence[ListedImage], share: float, seed: int) -> set[str]:
    classes = shuffled({entry.label for entry in entries}, seed)
    count = max(2, round(share * len(classes)))
    if len(classes) - count < 2:
        raise InputError(
            f"expected at least 4 classes to hold two out and keep two, found {len(classes)}; "
            'split by image instead (split = "image"), or bring more classes'
        )
    held_out = set(classes[:count])
    return {entry.name for entry in entries if entry.label in held_out}


def _unlabelled_to_hold_out(entries: Sequence[ListedImage], share: float, seed: int) -> set[str]:
    count = max(2, round(share * len(entries)))
    names = shuffled((entry.name for entry in entries), seed)
    return set(names[:count]) if len(names) - count >= 2 else set()


def _images_to_hold_out(entries: Sequence[ListedImage], share: float, seed: int) -> set[str]:
    by_class: dict[str, list[str]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, []).append(entry.name)
    counts = {label: round(share * len(members)) for label, members in by_class.items()}
    if not any(counts.values()):
        counts = dict.fromkeys(counts, 1)
    names: set[str] = set()
    for label, members in by_class.items():
        count = counts[label]
        if count == 1:
            # A single image could neither find another of its class nor be found.
            count = 2 if len(members) >= 4 else 0
        names.update(shuffled(members, seed)[:count])
    return names
