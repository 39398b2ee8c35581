"""The gate before a swap: what students' queries lose by the new vectors and by their index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from hetero.data.embeddings.file import embeddings_of, load_embeddings
from hetero.data.embeddings.labels import labels_by_name
from hetero.errors import InputError, SpaceMismatchError
from hetero.evaluation.limit import Gated, at_least, at_most, queries_for_floor, queries_for_loss, shown
from hetero.gallery.checked import CheckedBackfill, CheckedStore
from hetero.gallery.store import Matches
from hetero.gallery.truncate import truncated
from hetero.metrics.bootstrap import mean_interval
from hetero.metrics.flip_intervals import nfr_interval
from hetero.metrics.flips import count_flips
from hetero.metrics.retrieval import FEWEST_CLASSES
from hetero.space import EmbeddingSpace

K = 10


@dataclass(frozen=True)
class Limits:
    """What a swap may cost.

    Attributes:
        recall: Least ``ann_recall@10`` of the index of new vectors.
        flips: Largest share of queries that are right before the swap and wrong after it.
        effort: How hard the gallery is searched, see :meth:`hetero.gallery.store.GalleryStore.search`.
    """

    recall: float
    flips: float
    effort: int


@dataclass(frozen=True)
class Queries:
    """Held-out queries, by the student that asks after the swap and by the one that asks now.

    Attributes:
        names: Name of each query; it does not find an item of this id.
        after: float32 [q, d], of the new space.
        before: float32 [q, c], of the space that is served.
        labels: A CSV file of the classes of queries and items; None where a class is the folder that an image is in.
        tenant: The tenant whose items are searched.
    """

    names: tuple[str, ...]
    after: Float32[np.ndarray, "q d"]
    before: Float32[np.ndarray, "q c"]
    labels: Path | None
    tenant: str


def read_queries(
    after: Path, before: Path | None, labels: Path | None, *, new: EmbeddingSpace, served: EmbeddingSpace, tenant: str
) -> Queries:
    """Read the queries of both students, before anything is filled.

    Args:
        after: Embeddings by a student of the new space.
        before: Embeddings of the same images by the student of the space that is served. None to search the old
            vectors with the new student, which takes a space that was measured to be compatible.
        labels: See :class:`Queries`.
        new: The new space.
        served: The space that is served.
        tenant: The tenant whose items are searched.

    Raises:
        InputError: When files are missing or do not fit together.
        SpaceMismatchError: When they are of other spaces.
    """
    later = load_embeddings(after)
    new.require_same(later.space, this="the backfill", that=f"the queries in {after}")
    names, vectors = later.names, embeddings_of(later, later.names)
    if not names:
        raise InputError(f"{after}: expected queries, found none")
    labels_by_name(labels, names)
    if before is None:
        if not new.may_search(served):
            raise SpaceMismatchError(
                f"--before: {new.name} {new.version} does not search the vectors of {served.name} {served.version}, "
                "so that flips need the same images' embeddings by the student that asks now"
            )
        return Queries(names, vectors, truncated(vectors, served.dimension), labels, tenant)
    earlier = load_embeddings(before)
    served.require_same(earlier.space, this="the gallery", that=f"the queries in {before}")
    return Queries(names, vectors, embeddings_of(earlier, names), labels, tenant)


def judge(store: CheckedStore, backfill: CheckedBackfill, queries: Queries, limits: Limits) -> list[Gated]:
    """Hold the filled vectors against the limits, each figure by its interval.

    Args:
        store: The gallery, which serves the old space.
        backfill: The backfill, of which nothing is missing.
        queries: Held-out queries.
        limits: The limits.
    """
    effort, tenant, own = limits.effort, queries.tenant, queries.names
    near = _without(backfill.search(queries.after, K + 1, tenant=tenant, effort=effort), own)
    exact = _without(backfill.search(queries.after, K + 1, tenant=tenant, effort="exact"), own)
    if not all(exact):
        raise InputError("the gallery holds nothing for a query to find: add items first")
    before = _without(store.search(queries.before, 2, store.space, tenant=tenant, effort=effort), own)
    return [
        _recall_gate(_recalls(near, exact), limits.recall),
        _flips_gate(queries, [ids[0] for ids in before], [ids[0] for ids in near], limits.flips),
    ]


def _without(matches: Matches, own: Sequence[str]) -> list[list[str]]:
    return [[name for name in ids if name != query][:K] for query, ids in zip(own, matches.ids, strict=True)]


def _recalls(near: list[list[str]], exact: list[list[str]]) -> Float64[np.ndarray, " q"]:
    return np.array([len({*some} & {*best}) / len(best) for some, best in zip(near, exact, strict=True)])


def _recall_gate(recalls: Float64[np.ndarray, " q"], least: float) -> Gated:
    figure, count = mean_interval(recalls), len(recalls)
    text = f"ann_recall@{K} of the new vectors' index is {shown(figure)} over {count} queries; at least {least:g}"
    return Gated(figure, at_least(figure, least, queries=count, least=queries_for_floor(least)), text)


def _flips_gate(queries: Queries, before: list[str], after: list[str], most: float) -> Gated:
    count = len(queries.names)
    classes = labels_by_name(queries.labels, [*queries.names, *before, *after])
    asked = classes[:count]
    was_right, is_right = classes[count : 2 * count] == asked, classes[2 * count :] == asked
    clusters = asked if len(np.unique(asked)) >= FEWEST_CLASSES else None
    figure, flips = nfr_interval(was_right, is_right, clusters=clusters), count_flips(was_right, is_right)
    text = (
        f"{flips.negative} of {count} queries are right before the swap and wrong after it, {flips.positive} the other "
        f"way round: negative flips {shown(figure)}, at most {most:g}; cmc@1 {1 - flips.error_old:.4f} before, "
        f"{1 - flips.error_new:.4f} after"
    )
    least = queries_for_loss(most, queries=count, weight=1 / count)
    return Gated(figure, at_most(figure, most, queries=count, least=least), text)
