"""A backfill plan as a record: the order, and its gain."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from hetero.files import write_json
from hetero.metrics.bootstrap import Interval
from hetero.schema import parse_file, record

SCHEMA = "hetero/backfill/1"

Compatibility = Literal["same space", "measured", "assumed"]


@record
class OrderFigures:
    """The figures of one order on the queries that had no part in choosing it.

    Attributes:
        curve: metric -> value at each share.
        area: Area under the curve of the plan's metric.
        enough: Smallest measured share that brings 95 % of the gain of re-embedding everything; ``None`` when
            re-embedding everything brings no gain.
        chosen_by: Area on the planning queries, on which the order was chosen; ``None`` for random orders.
    """

    curve: dict[str, tuple[float, ...]]
    area: float
    enough: float | None
    chosen_by: float | None


@record
class BackfillPlan:
    """The order in which to re-embed images, and its gain.

    Attributes:
        chosen: Name of the chosen order.
        labelled: True if orders could use the gallery's labels.
        metric: The figure that it was chosen by.
        shares: Shares of the gallery re-embedded.
        orders: Name -> figures; ``random`` is the mean over random orders.
        random_orders: Area of each random order.
        over_queries: Area of the chosen order minus the random orders' mean, paired, queries resampled.
        over_classes: The same with classes resampled.
        gallery: Number of gallery images.
        planning_queries: Queries on which the order was chosen.
        reporting_queries: Queries that the figures are measured on.
        old_space: Id of the old vectors' space.
        new_space: Id of the new vectors' space.
        compatibility: The evidence that the two may be mixed: ``same space``, ``measured``, or ``assumed`` by the
            user.
        seed: Decides halves, random orders and ties.
        schema: Version of this record.
    """

    chosen: str
    labelled: bool
    metric: str
    shares: tuple[float, ...]
    orders: dict[str, OrderFigures]
    random_orders: tuple[float, ...]
    over_queries: Interval
    over_classes: Interval
    gallery: int
    planning_queries: int
    reporting_queries: int
    old_space: str
    new_space: str
    compatibility: Compatibility
    seed: int
    schema: Literal["hetero/backfill/1"] = SCHEMA

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> BackfillPlan:
        """Read a record.

        Raises:
            IntegrityError: When the file is not a record.
        """
        return parse_file(cls, path)
