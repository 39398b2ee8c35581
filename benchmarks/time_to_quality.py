r"""How long one core trains until a student retrieves well enough: the default beside loops written by hand.

Reads what :mod:`benchmarks.frozen_cloud` left of trainings of several lengths. Each has a schedule of its own, so that
a length is what a user would have planned for. Times are CPU seconds of training, with what it takes to choose weights
on validation images (loops by hand take their last). They leave out the cloud's vectors, and that hetero decodes photos
once; loops by hand do so each time they see one, and have a second row without that.

    python -m benchmarks.frozen_cloud run --photos PHOTOS --more MORE --out runs/time --jobs 1 \
        --clouds efficientnet_lite0 --shares 80 --methods default cosine by-hand ntxent by-hand-ntxent instance \
        --images 4000 8000 16000 32000 64000 128000 256000 --seeds 0
    python -m benchmarks.time_to_quality --out runs/time --target .5
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.frozen_cloud_table import PART


@dataclass(frozen=True)
class Length:
    """Trainings of one length, means over seeds.

    Attributes:
        images: Seen in training.
        seconds: CPU time.
        share: Of the cloud's own map@r, on test photos.
        seeds: How many trainings.
    """

    images: int
    seconds: float
    share: float
    seeds: int


def curve_of(records: Iterable[dict[str, Any]], what: str) -> list[Length]:
    """The trainings of one method, shortest first.

    Args:
        records: As :mod:`benchmarks.frozen_cloud` leaves them.
        what: ``known`` or ``new`` classes.
    """
    by_images: dict[int, list[dict[str, Any]]] = {}
    for one in records:
        by_images.setdefault(one["images"], []).append(one)
    return [
        Length(
            images,
            mean(one["seconds"] for one in here),
            mean(one["figures"][what]["share"] for one in here),
            len(here),
        )
        for images, here in sorted(by_images.items())
    ]


def in_words(curve: Sequence[Length], target: float) -> str:
    """The shortest length that reaches a share, and minutes: its own, and between it and the length before.

    Args:
        curve: Shortest first.
        target: The share.
    """
    first = next((place for place, length in enumerate(curve) if length.share >= target), None)
    if first is None:
        best = max(curve, key=lambda length: length.share)
        return f"not reached: {best.share:.3f} at best, {best.images:,} images, {best.seconds / 60:.2f} min"
    reached = curve[first]
    line = f"{reached.seconds / 60:.2f} min, {reached.images:,} images, share {reached.share:.3f}"
    if first == 0:
        return f"{line}; the shortest of all"
    return f"{line}; interpolated {crossing(curve[first - 1], reached, target) / 60:.2f} min"


def crossing(before: Length, after: Length, target: float) -> float:
    """Seconds at which a share is reached, on a line in the logarithm of time between two lengths."""
    part = (target - before.share) / (after.share - before.share)
    return before.seconds * math.exp(part * math.log(after.seconds / before.seconds))


def rows(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each method's records; of a loop that reads files as it trains, once more without the time for that."""
    for method in dict.fromkeys(one["method"] for one in records):
        here = [one for one in records if one["method"] == method]
        yield method, here
        if any(one.get("reading") for one in here):
            yield f"{method} without reading", [one | {"seconds": one["seconds"] - one["reading"]} for one in here]


def main() -> None:
    """Print a table for each cloud and student's cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where frozen_cloud ran")
    parser.add_argument("--target", type=float, default=0.5, help="share of the cloud's own map@r")
    arguments = parser.parse_args()
    records = [json.loads(path.read_text()) for path in sorted(arguments.out.glob(f"*/{PART}"))]
    for cloud, share in sorted({(one["cloud"], one["share"]) for one in records}):
        here = [one for one in records if (one["cloud"], one["share"]) == (cloud, share)]
        for what in here[0]["figures"]:
            print(f"\n{cloud}, 1/{round(1 / share)}, until {arguments.target:g} on {what} classes")
            for method, theirs in rows(here):
                curve = curve_of(theirs, what)
                print(f"  {method:32s}{in_words(curve, arguments.target)}")
                print(
                    "".join(
                        f"    {one.images:,}: {one.share:.3f} in {one.seconds:.0f} s ({one.seeds})" for one in curve
                    )
                )


if __name__ == "__main__":
    main()
