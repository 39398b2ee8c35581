"""The fleet: versions of an application in the field against versions of the gallery, from measured figures only.

Each application's exported model embeds its own queries on a target, and these search every gallery. A pair may serve
when it finds as much as the application does in the gallery that it was made for; otherwise it must be blocked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from device_tests.checks.gates import Gates
from device_tests.checks.limit import problems_of, unknown_of
from device_tests.checks.retrieval_gates import flips, floor_gate, loss_gate, metric_gates
from device_tests.checks.retrieval_gates import queries as count
from device_tests.ladder.running import Job
from device_tests.targets.target import Target
from export.bundle.goldens import RetrievalSet
from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError
from hetero.files import sha256_bytes
from hetero.metrics.registry import in_full
from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.space import EmbeddingSpace

Answer = Literal["serves", "blocked", "not measured"]


@dataclass(frozen=True)
class GalleryVersion:
    """What a cloud model made of the test images.

    Attributes:
        images: uint8 [m, h, w, 3]: they tell which vector belongs to which image of a bundle.
        vectors: float32 [m, d].
        space: Theirs.
    """

    images: UInt8[np.ndarray, "m h w 3"]
    vectors: Float32[np.ndarray, "m d"]
    space: EmbeddingSpace

    @classmethod
    def open(cls, path: Path) -> GalleryVersion:
        """The gallery of a bundle, or of a file that ``RetrievalSet.save`` wrote.

        Raises:
            InputError: When it is neither.
        """
        if path.is_dir():
            bundle = read_bundle(path)
            return cls(bundle.goldens.retrieval_images, bundle.goldens.retrieval_cloud, bundle.space)
        held = RetrievalSet.load(path)
        return cls(held.images, held.cloud_embeddings, held.space)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Where each image is, by the digest of its pixels."""
        return {sha256_bytes(image.tobytes()): row for row, image in enumerate(self.images)}


@dataclass(frozen=True)
class Pair:
    """One version of the application against one of the gallery.

    Attributes:
        app: The application's version.
        gallery: The gallery's.
        answer: ``blocked`` for a figure whose whole 95 % interval is beyond the gates, or vectors of another length;
            ``not measured`` where the queries are too few to tell. Never a guess.
        reason: Why it does not serve; empty when it does.
        same_space: Whether the contracts name one embedding space.
        queries: How many were measured.
        cmc1: cmc@1 of the application's queries in this gallery.
        loss: cmc@1 less than in the gallery that the application was made for.
        low: Of the loss's paired 95 % interval.
        high: Likewise.
        lost: Queries right in the gallery that it was made for and wrong in this one.
    """

    app: str
    gallery: str
    answer: Answer
    reason: str = ""
    same_space: bool = False
    queries: int = 0
    cmc1: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    lost: int | None = None


@dataclass(frozen=True)
class Upgrade:
    """What replacing a gallery by a later one does to the applications that the earlier one serves.

    Attributes:
        before: The earlier gallery.
        after: The later one.
        breaks: Applications that would have to be blocked.
        keeps: Those that go on.
        unknown: Those that were not measured.
    """

    before: str
    after: str
    breaks: tuple[str, ...]
    keeps: tuple[str, ...]
    unknown: tuple[str, ...]


def measure(
    apps: Mapping[str, Path],
    galleries: Mapping[str, Path],
    target: Target,
    *,
    format: str = "onnx",
    precision: str = "fp32",
    gates: Gates | None = None,
) -> list[Pair]:
    """Every application against every gallery.

    Args:
        apps: Bundles by the application's version.
        galleries: Bundles or retrieval sets by the gallery's version.
        target: Set up; it embeds the queries.
        format: Of the exported model.
        precision: Of that model.
        gates: ``largest_loss``, ``floor`` and ``metrics`` decide.

    Raises:
        InputError: When there is no application or no gallery, or one cannot be read.
    """
    if not apps or not galleries:
        raise InputError("expected at least one application and one gallery: --app NAME=BUNDLE --gallery NAME=PATH")
    opened = {name: GalleryVersion.open(path) for name, path in galleries.items()}
    pairs: list[Pair] = []
    for app, path in apps.items():
        bundle = read_bundle(path)
        queries = _queries(bundle, target, format, precision)
        for name, gallery in opened.items():
            if isinstance(queries, str):
                pairs.append(Pair(app, name, "not measured", queries))
            else:
                pairs.append(_pair(app, name, bundle, gallery, queries, gates or Gates()))
    return pairs


def upgrades(pairs: list[Pair]) -> list[Upgrade]:
    """What each later gallery, in the order given, would break of what an earlier one serves."""
    found = {(pair.app, pair.gallery): pair.answer for pair in pairs}
    apps, galleries = (list(dict.fromkeys(values)) for values in zip(*found, strict=True))
    made: list[Upgrade] = []
    for before, after in combinations(galleries, 2):
        served = [app for app in apps if found[app, before] == "serves"]
        by = {
            answer: tuple(app for app in served if found[app, after] == answer)
            for answer in ("blocked", "serves", "not measured")
        }
        made.append(Upgrade(before, after, by["blocked"], by["serves"], by["not measured"]))
    return made


def _queries(bundle: Bundle, target: Target, format: str, precision: str) -> Float32[np.ndarray, "m d"] | str:
    """The queries' vectors by retrieval row, as the target computed them; or why there are none."""
    kinds = {(entry.format, entry.precision): entry for entry in bundle.manifest.models}
    entry = kinds.get((format, precision))
    if entry is None:
        return f"the bundle holds no {format} {precision} file"
    if format not in target.runtimes:
        return f"{target.name} has no runtime for {format}"
    returned = Job(bundle, entry, target).run()
    if returned.embeddings is None:
        return returned.error
    goldens = bundle.goldens
    placed = np.zeros_like(goldens.retrieval_student)
    first = len(goldens.golden_images)
    placed[goldens.query_rows] = returned.embeddings[first:]
    return placed


def _pair(
    app: str,
    name: str,
    bundle: Bundle,
    gallery: GalleryVersion,
    queries: Float32[np.ndarray, "m d"],
    gates: Gates,
) -> Pair:
    same = bundle.space.space_id == gallery.space.space_id
    own, there = bundle.space.dimension, gallery.space.dimension
    if own != there:
        reason = f"its vectors have {own} numbers, the gallery's {there}"
        return Pair(app, name, "blocked", reason, same_space=same)
    vectors, missing = _aligned(bundle, gallery)
    if missing:
        reason = f"the gallery lacks {missing} of the {len(vectors)} images that the bundle searches among"
        return Pair(app, name, "not measured", reason, same_space=same)
    goldens = bundle.goldens

    def found_in(candidates: Float32[np.ndarray, "m d"]) -> TaskResult:
        metrics = in_full(*gates.metrics)
        return evaluate_tasks(queries, candidates, goldens.retrieval_labels, goldens.tasks, metrics=metrics)

    before, after = found_in(goldens.retrieval_cloud), found_in(vectors)
    # Its own gallery again is no other one: that nothing is lost needs no queries to show.
    own = np.array_equal(vectors, goldens.retrieval_cloud)
    loss = loss_gate(before, after, gates.largest_loss, beside="its own gallery's", same=own)
    asked = [loss, floor_gate(after, gates.floor), *metric_gates(after, gates.metrics)]
    problems, unknown = problems_of(asked), unknown_of(asked)
    return Pair(
        app=app,
        gallery=name,
        answer="blocked" if problems else "not measured" if unknown else "serves",
        reason="; ".join(problems or unknown),
        same_space=same,
        queries=count(before),
        cmc1=after.mean("cmc@1"),
        loss=loss.figure.value,
        low=loss.figure.low,
        high=loss.figure.high,
        lost=flips(before, after)[0],
    )


def _aligned(bundle: Bundle, gallery: GalleryVersion) -> tuple[Float32[np.ndarray, "m d"], int]:
    """The gallery's vectors of the bundle's retrieval images, and how many it lacks."""
    wanted = [gallery.rows.get(sha256_bytes(image.tobytes()), -1) for image in bundle.goldens.retrieval_images]
    return gallery.vectors[np.array(wanted, np.int64)], wanted.count(-1)
