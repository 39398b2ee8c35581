"""The figures of an upgrade: the criterion M(n, o) > M(o, o), and the gain and cost of compatibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from hetero.files import write_json
from hetero.gallery.truncate import truncated
from hetero.metrics.bootstrap import Interval, difference_interval
from hetero.metrics.chance import chance_of_rank_one
from hetero.metrics.registry import in_brief
from hetero.metrics.retrieval import TaskResult, evaluate_tasks, is_comparable
from hetero.metrics.task import RetrievalTask
from hetero.metrics.upgrade import update_gain_interval
from hetero.schema import parse_file, record
from hetero.space import EmbeddingSpace, MeasuredCompatibility

SCHEMA = "hetero/upgrade/1"


@record
class UpgradeFigures:
    """One metric's figures. Here ``M(q, g)`` is a query model and a gallery model: o old, n new, n* the control.

    Attributes:
        metric: M.
        cross: M(n, o): new queries, the gallery as it is.
        old: M(o, o): before the upgrade.
        own: M(n, n): after re-embedding everything.
        criterion: M(n, o) - M(o, o) with its paired bootstrap interval over classes.
        alone: M(n*, n*): the control, trained without the constraint. None without a control, like the following.
        alone_cross: M(n*, o): the control on the old gallery; at chance level if it is independent.
        gain: [M(n, o) - M(o, o)] / [M(n*, n*) - M(o, o)]; None also when re-embedding for the control gains nothing.
        tax: M(n*, n*) - M(n, n): the cost of compatibility.
    """

    metric: str
    cross: float
    old: float
    own: float
    criterion: Interval
    alone: float | None = None
    alone_cross: float | None = None
    gain: Interval | None = None
    tax: Interval | None = None


@record
class Upgrade:
    """The figures of an upgrade.

    Attributes:
        new: The new space's id.
        old: The old space's id.
        old_name: The old space's name and version.
        figures: One entry a metric, ``cmc@1`` first.
        chance: Expected ``cmc@1`` of a gallery in random order.
        data: Fingerprint of the test images.
        schema: Version of this record.
    """

    new: str
    old: str
    old_name: str
    figures: tuple[UpgradeFigures, ...]
    chance: float
    data: str
    schema: Literal["hetero/upgrade/1"] = SCHEMA

    @property
    def status(self) -> Literal["holds", "undecided", "fails"]:
        """The criterion by ``cmc@1``: ``holds`` when its interval is above zero, ``undecided`` when it reaches zero."""
        criterion = self.figures[0].criterion
        return "holds" if criterion.low > 0 else "undecided" if criterion.value > 0 else "fails"

    def of(self, metric: str) -> UpgradeFigures:
        """Return one metric's figures."""
        return next(figures for figures in self.figures if figures.metric == metric)

    def contract(self) -> tuple[MeasuredCompatibility, ...]:
        """Return the entries on the old space in the new space's contract; none when the criterion fails."""
        if self.status == "fails":
            return ()
        return tuple(
            MeasuredCompatibility(
                space_id=self.old,
                metric=figures.metric,
                cross=figures.cross,
                earlier=figures.old,
                name=self.old_name,
                own=figures.own,
                low=figures.criterion.low,
                high=figures.criterion.high,
                data=self.data,
            )
            for figures in self.figures
        )

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Upgrade:
        """Read a record.

        Raises:
            IntegrityError: When the file is not a record.
        """
        return parse_file(cls, path)


def measure_upgrade(
    new: tuple[EmbeddingSpace, Float32[np.ndarray, "n d"]],
    old: tuple[EmbeddingSpace, Float32[np.ndarray, "n c"]],
    labels: Int64[np.ndarray, " n"],
    tasks: Sequence[RetrievalTask],
    *,
    control: Float32[np.ndarray, "n e"] | None = None,
    data: str = "",
    seed: int = 0,
) -> Upgrade:
    """Measure a new model against an old one's gallery.

    New vectors search the old gallery as T(phi_n): truncated or padded to its dimension and scaled to length one.

    Args:
        new: The new space, and float32 [n, d] its model's vectors of the images.
        old: The old space, and its model's vectors of the same images.
        labels: int64 [n], the class of each image.
        tasks: The retrieval tasks.
        control: float32 [n, e], vectors of a new model that was trained without the constraint.
        data: Fingerprint of the images.
        seed: Seed of the resampling.

    Raises:
        InputError: When a task cannot be measured.
    """
    results = {
        "cross": evaluate_tasks(truncated(new[1], old[0].dimension), old[1], labels, tasks, metrics=in_brief()),
        "old": evaluate_tasks(old[1], old[1], labels, tasks, metrics=in_brief()),
        "own": evaluate_tasks(new[1], new[1], labels, tasks, metrics=in_brief()),
    }
    if control is not None:
        results["alone"] = evaluate_tasks(control, control, labels, tasks, metrics=in_brief())
        reach = truncated(control, old[0].dimension)
        results["alone_cross"] = evaluate_tasks(reach, old[1], labels, tasks, metrics=in_brief())
    return Upgrade(
        new=new[0].space_id,
        old=old[0].space_id,
        old_name=f"{old[0].name} {old[0].version}",
        figures=tuple(
            _figures(metric, results, seed)
            for metric in results["cross"].metrics
            if is_comparable(metric, *results.values())
        ),
        chance=chance_of_rank_one(labels, tasks),
        data=data,
    )


def _figures(metric: str, results: dict[str, TaskResult], seed: int) -> UpgradeFigures:
    mean = {name: result.mean(metric) for name, result in results.items()}

    def difference(left: str, right: str) -> Interval:
        sides = (results[name].per_query(metric) for name in (left, right))
        return difference_interval(*sides, clusters=results[left].labels, seed=seed)

    rest: dict[str, Any] = {}
    if "alone" in results:
        rest = {"alone": mean["alone"], "alone_cross": mean["alone_cross"], "tax": difference("alone", "own")}
        if mean["alone"] > mean["old"]:
            rest["gain"] = update_gain_interval(results["cross"], results["old"], results["alone"], metric, seed=seed)
    return UpgradeFigures(metric, mean["cross"], mean["old"], mean["own"], difference("cross", "old"), **rest)
