"""What follows from a space's statistics, in words: rules, each with the figure that it goes by."""

from __future__ import annotations

from collections.abc import Iterator

from hetero.geometry.classes import ClassStatistics
from hetero.geometry.directions import CENTRED, suggested_directions
from hetero.geometry.neighbours import NEAR, NeighbourStatistics
from hetero.geometry.statistics import SpaceStatistics

HUBS = 2.0
"""Skewness of the k-occurrences from which hubs are worth a word."""
WEAK_CONTRAST = 0.2
SEPARATED = 0.2
"""Centred cosine by which a class's vectors should be closer to each other than to others'."""


def advice(statistics: SpaceStatistics) -> tuple[str, ...]:
    """What whoever trains a student for this space, or searches it, should know; the gravest first."""
    return (
        *_unusable(statistics),
        *_centre(statistics),
        _last_layer(statistics),
        *_repeated(statistics),
        *_neighbours(statistics.neighbours),
        *(_classes(statistics.classes) if statistics.classes else ()),
    )


def _unusable(found: SpaceStatistics) -> Iterator[str]:
    if found.not_finite:
        yield f"{found.not_finite} vectors are not finite: they cannot be used; embed those images again"
    if found.zero:
        yield f"{found.zero} vectors are zero, without a direction: they cannot be used; embed those images again"
    if not found.lengths.is_unit:
        yield (
            f"not of length one ({found.lengths.smallest:.3g} to {found.lengths.largest:.3g}): hetero scales them; "
            "an index that ranks by inner product or distance must hold the scaled vectors, or it ranks by length too"
        )


def _centre(found: SpaceStatistics) -> Iterator[str]:
    if found.mean_length > CENTRED:
        yield (
            f"not centred (the mean has length {found.mean_length:.2f}): cosines mislead, two random vectors have "
            f"{found.neighbours.random:.2f}; judge a student by its agreement with the cloud once the mean is removed, "
            f"and contrast at lower temperatures: relative ones are multiplied by {1 - found.mean_length**2:.2f} here"
        )


def _last_layer(found: SpaceStatistics) -> str:
    effective = f"{found.effective_dimension:.0f} of {found.dimension} dimensions are used in effect"
    count = suggested_directions(found)
    if not count:
        return f"{effective}: a last layer that is learnt in all dimensions suits it"
    return (
        f"low-dimensional: {effective}; start a student's last layer in the leading principal directions: "
        f'principal = "auto" takes {count}, or what a budget allows'
    )


def _repeated(found: SpaceStatistics) -> Iterator[str]:
    if found.duplicates:
        yield (
            f"{found.duplicates} vectors equal another, bit by bit: equal images, or a model that cannot tell them "
            "apart; contrast between them teaches nothing"
        )
    if near := found.neighbours.near_duplicates:
        of = f" of {found.neighbours.rows}" if found.neighbours.rows < found.count else ""
        yield f"{near}{of} vectors have a near duplicate (cosine above {NEAR:g}): hits on these say little of a model"
    if found.constant:
        yield f"{found.constant} of {found.dimension} dimensions are the same in all vectors: they only take space"


def _neighbours(found: NeighbourStatistics) -> Iterator[str]:
    if found.contrast < WEAK_CONTRAST:
        yield (
            f"weak contrast: a nearest neighbour ({found.nearest:.2f}) is hardly nearer than a random vector "
            f"({found.random:.2f}); small errors of a student change its hits"
        )
    if found.hubness > HUBS:
        yield (
            f"hubs: one vector is among the {found.k} nearest of {found.largest_hub} others (skewness "
            f"{found.hubness:.1f}), {found.never_found:.0%} are found by nobody; removing the mean lowers both"
        )


def _classes(found: ClassStatistics) -> Iterator[str]:
    apart = found.same - found.other
    yield (
        f"classes: the space's own map@r is {found.map_at_r:.3f} and cmc@1 {found.cmc_at_1:.3f}, about the most that a "
        "student can have in its gallery"
    )
    if apart < SEPARATED:
        yield (
            f"classes hardly separate (centred cosine {found.same:.2f} within, {found.other:.2f} between): this cloud "
            "knows them no better"
        )
