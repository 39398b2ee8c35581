"""The statistics of a space as a page for a terminal."""

from __future__ import annotations

from hetero.geometry.advice import advice
from hetero.geometry.sample import SEED
from hetero.geometry.statistics import SpaceStatistics


def as_text(name: str, found: SpaceStatistics) -> str:
    """Figures, then what follows from them."""
    near, lengths = found.neighbours, found.lengths
    rows = [
        ("vectors", f"{found.count:,} of {found.dimension} dimensions"),
        ("length as given", f"{lengths.smallest:.3g} to {lengths.largest:.3g}, median {lengths.median:.3g}"),
        ("length of the mean", f"{found.mean_length:.3f}"),
        ("effective dimension", f"{found.effective_dimension:.1f}{_of(found.covariance_rows, found.count)}"),
        ("directions that hold", ", ".join(f"{share:.0%}: {count}" for share, count in found.directions.items())),
        ("nearest, random", f"{near.nearest:.3f}, {near.random:.3f} (median cosines), contrast {near.contrast:.2f}"),
        (
            f"found by {near.k} nearest",
            f"skewness {near.hubness:.2f}, most {near.largest_hub}, never {near.never_found:.1%}"
            + _of(near.rows, found.count),
        ),
        ("duplicates", f"{found.duplicates} exact, {near.near_duplicates} near"),
        ("constant dimensions", f"{found.constant}"),
        ("not finite, zero", f"{found.not_finite}, {found.zero}"),
    ]
    if known := found.classes:
        rows.append(("classes", f"{known.classes}, own gallery map@r {known.map_at_r:.3f}, cmc@1 {known.cmc_at_1:.3f}"))
        rows.append(("centred cosines", f"{known.same:.3f} within classes, {known.other:.3f} between"))
    width = max(len(title) for title, _ in rows)
    lines = [name, "", *(f"{title.ljust(width)}  {value}" for title, value in rows)]
    return "\n".join([*lines, "", "what follows:", *(f"- {line}" for line in advice(found))])


def _of(rows: int, count: int) -> str:
    return f" (of a sample of {rows:,}, seed {SEED})" if rows < count else ""
