"""The fleet: deployed versions of an application against versions of the gallery, from measured figures only.

Each application's exported model embeds its own queries on a target, and these search every gallery. A pair may serve
if it finds as much as the application does in the gallery that it was made for; otherwise it must be blocked.
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
from device_tests.checks.retrieval_gates import flips, floor_gate, loss_gate, metric_gates
from device_tests.checks.retrieval_gates import queries as count
from device_tests.ladder.running import Job
from device_tests.targets.target import Target
from export.bundle.goldens import RetrievalSet
from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError
from hetero.evaluation.limit import problems_of, unknown_of
from hetero.files import sha256_bytes
from hetero.metrics.registry import in_full
from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.space import EmbeddingSpace

Answer = Literal["serves", "blocked", "not measured"]


@dataclass(frozen=True)
class GalleryVersion:
    """A cloud model's vectors of the test images.

    Attributes:
        images: uint8 [m, h, w, 3], which match vectors to the images of a bundle.
        vectors: float32 [m, d].
        space: Embedding space of the vectors.
    """

    images: UInt8[np.ndarray, "m h w 3"]
    vectors: Float32[np.ndarray, "m d"]
    space: EmbeddingSpace

    @classmethod
    def open(cls, path: Path) -> GalleryVersion:
        """Open the gallery of a bundle, or of a file that ``RetrievalSet.save`` wrote.

        Raises:
            InputError: If it is neither.
        """
        if path.is_dir():
            bundle = read_bundle(path)
            return cls(bundle.goldens.retrieval_images, bundle.goldens.retrieval_cloud, bundle.space)
        retrieval = RetrievalSet.load(path)
        return cls(retrieval.images, retrieval.cloud_embeddings, retrieval.space)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Row of each image, by the digest of its pixels."""
        return {sha256_bytes(image.tobytes()): row for row, image in enumerate(self.images)}


@dataclass(frozen=True)
class Pair:
    """One version of the application with one of the gallery.

    Attributes:
        app: The application's version.
        gallery: The gallery's version.
        answer: ``blocked`` for a figure whose whole 95 % interval is beyond the gates, or vectors of another length;
            ``not measured`` if the queries are too few to decide. Never a guess.
        reason: The reason why it must not serve; empty if it may.
        same_space: True if the contracts name one embedding space.
        queries: Number of queries measured.
        cmc1: cmc@1 of the application's queries in this gallery.
        loss: Fall of cmc@1 from the gallery that the application was made for.
        low: Lower end of the loss's paired 95 % interval.
        high: Upper end.
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
class GalleryUpgrade:
    """The effect of replacing a gallery by a later one on the applications that the earlier one serves.

    Attributes:
        before: The earlier gallery.
        after: The later one.
        breaks: Applications that would have to be blocked.
        keeps: Applications that may go on.
        unknown: Applications that were not measured.
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
    """Measure every application with every gallery.

    Args:
        apps: Bundles by the application's version.
        galleries: Bundles or retrieval sets by the gallery's version.
        target: A target that is set up; it embeds the queries.
        format: Format of the exported model.
        precision: Of that model.
        gates: ``largest_loss``, ``floor`` and ``metrics`` decide.

    Raises:
        InputError: If there is no application or no gallery, or one cannot be read.
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


def upgrades(pairs: list[Pair]) -> list[GalleryUpgrade]:
    """Return, for each later gallery in the given order, the pairs that it would break."""
    answers = {(pair.app, pair.gallery): pair.answer for pair in pairs}
    apps, galleries = (list(dict.fromkeys(values)) for values in zip(*answers, strict=True))
    results: list[GalleryUpgrade] = []
    for before, after in combinations(galleries, 2):
        served = [app for app in apps if answers[app, before] == "serves"]
        by = {
            answer: tuple(app for app in served if answers[app, after] == answer)
            for answer in ("blocked", "serves", "not measured")
        }
        results.append(GalleryUpgrade(before, after, by["blocked"], by["serves"], by["not measured"]))
    return results


def _queries(bundle: Bundle, target: Target, format: str, precision: str) -> Float32[np.ndarray, "m d"] | str:
    """Return the queries' vectors by retrieval row, computed on the target; or the reason why there are none."""
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
    app_dimension, gallery_dimension = bundle.space.dimension, gallery.space.dimension
    if app_dimension != gallery_dimension:
        reason = f"its vectors have {app_dimension} numbers, the gallery's {gallery_dimension}"
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
    # The application's own gallery is no other one: no queries are needed to show that nothing is lost.
    own_gallery = np.array_equal(vectors, goldens.retrieval_cloud)
    loss = loss_gate(before, after, gates.largest_loss, beside="its own gallery's", same=own_gallery)
    gated = [loss, floor_gate(after, gates.floor), *metric_gates(after, gates.metrics)]
    problems, unknown = problems_of(gated), unknown_of(gated)
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
    """Return the gallery's vectors of the bundle's retrieval images, and the number of missing ones."""
    rows = [gallery.rows.get(sha256_bytes(image.tobytes()), -1) for image in bundle.goldens.retrieval_images]
    return gallery.vectors[np.array(rows, np.int64)], rows.count(-1)
