"""Advice from a space's statistics: rules in words, each with the figure that it is based on."""

from __future__ import annotations

from collections.abc import Iterator

from hetero.geometry.classes import ClassStatistics
from hetero.geometry.directions import CENTRED, suggested_directions
from hetero.geometry.neighbours import NEAR, NeighbourStatistics
from hetero.geometry.statistics import SpaceStatistics

HUBS = 2.0
"""Skewness of the k-occurrences from which hubs are mentioned."""
WEAK_CONTRAST = 0.2
SEPARATED = 0.2
"""Margin of centred cosine by which a class's vectors should be closer to each other than to others'."""


def advice(statistics: SpaceStatistics) -> tuple[str, ...]:
    """Return advice for training a student for this space, or searching it; the most serious first."""
    return (
        *_unusable(statistics),
        *_centre(statistics),
        _last_layer(statistics),
        *_repeated(statistics),
        *_neighbours(statistics.neighbours),
        *(_classes(statistics.classes) if statistics.classes else ()),
    )


def _unusable(space: SpaceStatistics) -> Iterator[str]:
    if space.not_finite:
        yield f"{space.not_finite} vectors are not finite: they cannot be used; embed those images again"
    if space.zero:
        yield f"{space.zero} vectors are zero, without a direction: they cannot be used; embed those images again"
    if not space.lengths.is_unit:
        yield (
            f"not of length one ({space.lengths.smallest:.3g} to {space.lengths.largest:.3g}): hetero scales them; "
            "an index that ranks by inner product or distance must hold the scaled vectors, or it ranks by length too"
        )


def _centre(space: SpaceStatistics) -> Iterator[str]:
    if space.mean_length > CENTRED:
        yield (
            f"not centred (the mean has length {space.mean_length:.2f}): cosines mislead, two random vectors have "
            f"{space.neighbours.random:.2f}; judge a student by its agreement with the cloud once the mean is removed, "
            f"and contrast at lower temperatures: relative ones are multiplied by {1 - space.mean_length**2:.2f} here"
        )


def _last_layer(space: SpaceStatistics) -> str:
    effective = f"{space.effective_dimension:.0f} of {space.dimension} dimensions are used in effect"
    count = suggested_directions(space)
    if not count:
        return f"{effective}: a last layer that is learnt in all dimensions suits it"
    return (
        f"low-dimensional: {effective}; start a student's last layer in the leading principal directions: "
        f'principal = "auto" takes {count}, or what a budget allows'
    )


def _repeated(space: SpaceStatistics) -> Iterator[str]:
    if space.duplicates:
        yield (
            f"{space.duplicates} vectors equal another, bit by bit: equal images, or a model that cannot tell them "
            "apart; contrast between them teaches nothing"
        )
    if near := space.neighbours.near_duplicates:
        of = f" of {space.neighbours.rows}" if space.neighbours.rows < space.count else ""
        yield f"{near}{of} vectors have a near duplicate (cosine above {NEAR:g}): hits on these say little of a model"
    if space.constant:
        yield f"{space.constant} of {space.dimension} dimensions are the same in all vectors: they only take space"


def _neighbours(near: NeighbourStatistics) -> Iterator[str]:
    if near.contrast < WEAK_CONTRAST:
        yield (
            f"weak contrast: a nearest neighbour ({near.nearest:.2f}) is hardly nearer than a random vector "
            f"({near.random:.2f}); small errors of a student change its hits"
        )
    if near.hubness > HUBS:
        yield (
            f"hubs: one vector is among the {near.k} nearest of {near.largest_hub} others (skewness "
            f"{near.hubness:.1f}), {near.never_found:.0%} are found by nobody; removing the mean lowers both"
        )


def _classes(labels: ClassStatistics) -> Iterator[str]:
    apart = labels.same - labels.other
    yield (
        f"classes: the space's own map@r is {labels.map_at_r:.3f} and cmc@1 {labels.cmc_at_1:.3f}, about the most that "
        "a student can have in its gallery"
    )
    if apart < SEPARATED:
        yield (
            f"classes hardly separate (centred cosine {labels.same:.2f} within, {labels.other:.2f} between): this "
            "cloud knows them no better"
        )
