"""1:N open-set identification: FNIR and TNIR at an FPIR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.nearest import search
from hetero.metrics.operating.operating_point import ComparisonScores, operating_point
from hetero.metrics.operating.sides import Sides
from hetero.schema import record


@record
class Identification:
    """Probes with and without a mate in the gallery, at one threshold.

    Attributes:
        fpir_asked: The requested false positive identification rate.
        threshold: A candidate is returned when its cosine is at least this.
        fpir: Share of non-mated probes for which anything is returned, at most ``fpir_asked``.
        fnir: Share of mated probes whose mate is not returned.
        mated: Number of mated probes.
        non_mated: Number of non-mated probes; an FPIR below 1 / ``non_mated`` cannot be told from zero.
    """

    fpir_asked: float
    threshold: float
    fpir: float
    fnir: float
    mated: int
    non_mated: int

    @property
    def tnir(self) -> float:
        """1 - FNIR, which papers on compatible training report as TNIR@FPIR (and NIST as TPIR)."""
        return 1 - self.fnir


def probe_scores(
    probe: Float32[np.ndarray, "q d"],
    gallery: Float32[np.ndarray, "g d"],
    probe_labels: Int64[np.ndarray, " q"],
    gallery_labels: Int64[np.ndarray, " g"],
    *,
    exclude: Int64[np.ndarray, " q"] | None = None,
    rank: int = 1,
) -> ComparisonScores:
    """Search every probe in the gallery; a probe is mated when the gallery holds an image of its label.

    A non-mated probe's score is that of its best candidate. A mated probe's score is that of the best candidate of
    its label among the ``rank`` first, ``-inf`` when there is none: such a probe is missed at any threshold.

    Args:
        probe: float32 [q, d], vectors of the probes.
        gallery: float32 [g, d], vectors of the gallery.
        probe_labels: int64 [q], the class of each probe.
        gallery_labels: int64 [g], the class of each gallery image.
        exclude: int64 [q], the gallery row that is the probe itself; -1 for none.
        rank: Number of candidates considered.

    Returns:
        Scores with the probes' labels, in the order of the probes of each kind.

    Raises:
        InputError: For arrays that do not fit together, or without probes of both kinds.
    """
    return pooled_scores([Sides(probe, gallery, probe_labels, gallery_labels, exclude)], rank=rank)


def pooled_scores(searches: Sequence[Sides], *, rank: int = 1) -> ComparisonScores:
    """Pool the scores of :func:`probe_scores` over several searches: the mated probes of all, then the non-mated ones.

    Args:
        searches: At least one.
        rank: Number of candidates considered.

    Raises:
        InputError: See :func:`probe_scores`.
    """
    parts = [_scores(*sides, rank=rank) for sides in searches]
    scores, non_mated, labels, others = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ComparisonScores(scores, non_mated, labels, others)


def _scores(
    probe: NDArray[np.float32],
    gallery: NDArray[np.float32],
    probe_labels: NDArray[np.int64],
    gallery_labels: NDArray[np.int64],
    exclude: NDArray[np.int64] | None,
    *,
    rank: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    if len(probe_labels) != len(probe) or len(gallery_labels) != len(gallery):
        raise InputError(
            f"expected one label a vector, got {len(probe_labels)} for {len(probe)} probes "
            f"and {len(gallery_labels)} for {len(gallery)} gallery images"
        )
    hits = search(probe, gallery, rank, exclude=exclude)
    right = gallery_labels[hits.rows] == probe_labels[:, None]
    best = np.where(right, hits.scores, np.float32(-np.inf)).max(axis=1)
    mated = _has_mate(probe_labels, gallery_labels, exclude)
    return best[mated], hits.scores[~mated, 0], probe_labels[mated], probe_labels[~mated]


def fnir_at_fpir(scores: ComparisonScores, fpir: float) -> Identification:
    """Compute FNIR (and TNIR) exactly, at the lowest threshold whose FPIR is at most ``fpir``.

    The definitions are those of NIST IR 8271 (FRVT part 2) at rank R: FNIR(N, R, T), where the threshold T gives the
    FPIR.

    Args:
        scores: Scores of :func:`probe_scores`.
        fpir: False positive identification rate, 0 to 1.

    Raises:
        InputError: When the rate is not between 0 and 1.
    """
    point = operating_point(scores, fpir)
    return Identification(
        fpir_asked=fpir,
        threshold=point.threshold,
        fpir=point.false_rate,
        fnir=float((scores.mated < point.threshold).mean()),
        mated=len(scores.mated),
        non_mated=len(scores.non_mated),
    )


def _has_mate(
    probe_labels: NDArray[np.int64], gallery_labels: NDArray[np.int64], exclude: NDArray[np.int64] | None
) -> NDArray[np.bool_]:
    classes, sizes = np.unique(gallery_labels, return_counts=True)
    place = np.minimum(np.searchsorted(classes, probe_labels), len(classes) - 1)
    mates = np.where(classes[place] == probe_labels, sizes[place], 0)
    if exclude is not None:
        mates = mates - ((exclude >= 0) & (gallery_labels[exclude] == probe_labels))
    return mates > 0
