"""The statistics of a space as text for a terminal."""

from __future__ import annotations

from hetero.geometry.advice import advice
from hetero.geometry.sample import SEED
from hetero.geometry.statistics import SpaceStatistics


def as_text(name: str, statistics: SpaceStatistics) -> str:
    """Write the figures, and then the advice."""
    near, lengths = statistics.neighbours, statistics.lengths
    rows = [
        ("vectors", f"{statistics.count:,} of {statistics.dimension} dimensions"),
        ("length as given", f"{lengths.smallest:.3g} to {lengths.largest:.3g}, median {lengths.median:.3g}"),
        ("length of the mean", f"{statistics.mean_length:.3f}"),
        (
            "effective dimension",
            f"{statistics.effective_dimension:.1f}{_of(statistics.covariance_rows, statistics.count)}",
        ),
        ("directions that hold", ", ".join(f"{share:.0%}: {count}" for share, count in statistics.directions.items())),
        ("nearest, random", f"{near.nearest:.3f}, {near.random:.3f} (median cosines), contrast {near.contrast:.2f}"),
        (
            f"found by {near.k} nearest",
            f"skewness {near.hubness:.2f}, most {near.largest_hub}, never {near.never_found:.1%}"
            + _of(near.rows, statistics.count),
        ),
        ("duplicates", f"{statistics.duplicates} exact, {near.near_duplicates} near"),
        ("constant dimensions", f"{statistics.constant}"),
        ("not finite, zero", f"{statistics.not_finite}, {statistics.zero}"),
    ]
    if classes := statistics.classes:
        rows.append(
            ("classes", f"{classes.classes}, own gallery map@r {classes.map_at_r:.3f}, cmc@1 {classes.cmc_at_1:.3f}")
        )
        rows.append(("centred cosines", f"{classes.same:.3f} within classes, {classes.other:.3f} between"))
    width = max(len(title) for title, _ in rows)
    lines = [name, "", *(f"{title.ljust(width)}  {value}" for title, value in rows)]
    return "\n".join([*lines, "", "what follows:", *(f"- {line}" for line in advice(statistics))])


def _of(rows: int, count: int) -> str:
    return f" (of a sample of {rows:,}, seed {SEED})" if rows < count else ""
