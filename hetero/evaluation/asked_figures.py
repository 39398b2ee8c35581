"""Figures requested by name, of every query model in one gallery model's gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from hetero.display.text import in_markdown
from hetero.errors import InputError
from hetero.evaluation.asked import AT_A_RATE, FLIPS, TAR, TNIR, Asked
from hetero.files import write_json
from hetero.metrics.bootstrap import Interval, mean_interval
from hetero.metrics.flip_intervals import nfr_interval, rel_nfr_interval
from hetero.metrics.flips import RANK_ONE, rank_one_decisions
from hetero.metrics.operating.identification import fnir_at_fpir, pooled_scores
from hetero.metrics.operating.intervals import true_rate_interval
from hetero.metrics.operating.operating_point import ComparisonScores
from hetero.metrics.operating.sides import Sides, open_set
from hetero.metrics.operating.verification import Verification, tar_interval_pooled, verify_pooled
from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.metrics.task import RetrievalTask
from hetero.schema import parse_file, record


@record
class AskedFigure:
    """One figure of one query model.

    Attributes:
        query_model: Name of the query model.
        metric: Name of the figure.
        interval: The figure with its 95 % interval; None where it cannot be computed.
        threshold: Lowest accepted cosine, where there is a threshold.
        counts: Numbers of queries or comparisons that it was measured on.
        beside: The previous model, for flips.
        note: Reason why it cannot be computed, or its limits; may be empty.
    """

    query_model: str
    metric: str
    interval: Interval | None
    threshold: float | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    beside: str = ""
    note: str = ""


@record
class AskedFigures:
    """The content of ``metrics.json``.

    Attributes:
        gallery_model: Name of the model that embedded the gallery.
        figures: Figures of one model after another, in the requested order.
        resampled: Unit of the intervals' resampling: classes, or queries (comparisons) where classes are too few.
        space_id: The gallery's embedding space.
        seed: Seed of the resampling, and of the choice of enrolled classes.
        schema: Version of this record.
    """

    gallery_model: str
    figures: tuple[AskedFigure, ...]
    resampled: Literal["classes", "queries"]
    space_id: str = ""
    seed: int = 0
    schema: Literal["hetero/metrics/1"] = "hetero/metrics/1"

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> AskedFigures:
        """Read a record.

        Raises:
            IntegrityError: When it is not one.
        """
        return parse_file(cls, path)

    def as_table(self) -> str:
        """Return a Markdown table with a row for each figure."""
        gallery = in_markdown(self.gallery_model)
        head = f"| queries of | metric, gallery of {gallery} | value | 95 % | threshold | measured on | note |"
        return "\n".join([head, "|---|---|---|---|---|---|---|", *map(_row, self.figures)]) + "\n"


def measure_asked(
    asked: Sequence[Asked],
    embeddings: Mapping[str, Float32[np.ndarray, "n _"]],
    labels: Int64[np.ndarray, " n"],
    tasks: Sequence[RetrievalTask],
    *,
    gallery_model: str,
    before: Mapping[str, str],
    space_id: str = "",
    seed: int = 0,
) -> AskedFigures:
    """Measure every query model in the gallery model's gallery.

    Metrics of retrieval are means over tasks. Rates and flips pool the tasks: one threshold for all, and each query
    counts once. For ``tnir@fpir`` and ``fnir@fpir`` half of the classes is removed from the gallery, and then the other
    half, see :func:`hetero.metrics.operating.sides.open_set`.

    Args:
        asked: The requested figures.
        embeddings: Model name -> float32 [n, d], its vectors of the same n images.
        labels: int64 [n], the class of each image.
        tasks: Query and gallery images of each task.
        gallery_model: Name of the model that embeds the gallery.
        before: Query model -> the model that it replaces, for flips.
        space_id: Embedding space of the gallery; only recorded.
        seed: Seed of the resampling, and of the choice of enrolled classes.

    Raises:
        InputError: When a task cannot be measured.
    """
    metrics = (RANK_ONE, *(figure.kind for figure in asked if figure.kind not in (*AT_A_RATE, *FLIPS)))
    gallery = embeddings[gallery_model]
    results = {
        name: evaluate_tasks(vectors, gallery, labels, tasks, metrics=tuple(dict.fromkeys(metrics)))
        for name, vectors in embeddings.items()
        if vectors.shape[1] == gallery.shape[1]
    }
    fars = tuple(figure.rate for figure in asked if figure.kind == TAR and figure.rate is not None)
    resampled = results[gallery_model].resampled
    figures: list[AskedFigure] = []
    for name, vectors in embeddings.items():
        if name not in results:
            note = f"vectors of {vectors.shape[1]} and {gallery.shape[1]} dimensions cannot be compared"
            figures += [AskedFigure(name, figure.name, None, note=note) for figure in asked]
            continue
        sides = tuple(Sides.of(vectors, gallery, labels, task) for task in tasks)
        model = _QueryModel(name, sides, results, before.get(name, ""), fars, resampled, seed)
        figures += [model.figure(figure) for figure in asked]
    return AskedFigures(gallery_model, tuple(figures), resampled, space_id, seed)


@dataclass(frozen=True)
class _QueryModel:
    """One query model; values that several figures need are computed once."""

    name: str
    sides: tuple[Sides, ...]
    results: Mapping[str, TaskResult]
    before: str
    fars: tuple[float, ...]
    resampled: Literal["classes", "queries"]
    seed: int

    def figure(self, asked: Asked) -> AskedFigure:
        kinds = dict.fromkeys(FLIPS, self._flips) | dict.fromkeys(AT_A_RATE, self._identified) | {TAR: self._verified}
        try:
            return kinds.get(asked.kind, self._retrieved)(asked)
        except InputError as error:
            return AskedFigure(self.name, asked.name, None, note=f"cannot be computed: {error}")

    @cached_property
    def _points(self) -> dict[float, Verification]:
        return {point.far_asked: point for point in verify_pooled(self.sides, self.fars)}

    @cached_property
    def _probes(self) -> ComparisonScores:
        return pooled_scores(open_set(self.sides, seed=self.seed))

    def _retrieved(self, asked: Asked) -> AskedFigure:
        result = self.results[self.name]
        values = result.per_query(asked.kind)
        interval = mean_interval(values, clusters=result.clusters(self.resampled), seed=self.seed)
        counts = {"queries": int(sum((~np.isnan(part)).sum() for part in values))}
        return AskedFigure(self.name, asked.name, interval, counts=counts)

    def _verified(self, asked: Asked) -> AskedFigure:
        assert asked.rate is not None
        point = self._points[asked.rate]
        interval = tar_interval_pooled(self.sides, point.threshold, over=self.resampled, seed=self.seed)
        counts, note = {"genuine": point.genuine, "impostor": point.impostor}, _too_low(asked.rate, point.impostor)
        return AskedFigure(self.name, asked.name, interval, point.threshold, counts, note=note)

    def _identified(self, asked: Asked) -> AskedFigure:
        assert asked.rate is not None
        point = fnir_at_fpir(self._probes, asked.rate)
        over = "classes" if self.resampled == "classes" else "comparisons"
        tnir = true_rate_interval(self._probes, asked.rate, over=over, seed=self.seed)
        interval = tnir if asked.kind == TNIR else Interval(1 - tnir.value, 1 - tnir.high, 1 - tnir.low)
        counts, note = {"mated": point.mated, "non-mated": point.non_mated}, _too_low(asked.rate, point.non_mated)
        return AskedFigure(self.name, asked.name, interval, point.threshold, counts, note=note)

    def _flips(self, asked: Asked) -> AskedFigure:
        if not self.before:
            raise InputError("nothing was there before this model")
        old, new = rank_one_decisions(self.results[self.before], self.results[self.name])
        groups = self.results[self.name].clusters(self.resampled)
        options: dict[str, Any] = {"clusters": None if groups is None else np.concatenate(groups), "seed": self.seed}
        if asked.kind == "pfr":
            interval = nfr_interval(new, old, **options)
        else:
            interval = (nfr_interval if asked.kind == "nfr" else rel_nfr_interval)(old, new, **options)
        return AskedFigure(self.name, asked.name, interval, counts={"queries": len(old)}, beside=self.before)


def _too_low(rate: float, comparisons: int) -> str:
    return f"a rate below 1/{comparisons} cannot be told from zero" if rate * comparisons < 1 else ""


def _row(figure: AskedFigure) -> str:
    interval = figure.interval
    value = ("-", "-") if interval is None else (f"{interval.value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}")
    threshold = "-" if figure.threshold is None else f"{figure.threshold:.4f}"
    counts = ", ".join(f"{count} {what}" for what, count in figure.counts.items())
    beside = f", beside {figure.beside}" if figure.beside else ""
    cells = (figure.query_model, figure.metric, *value, threshold, f"{counts}{beside}" or "-", figure.note)
    return f"| {' | '.join(map(in_markdown, cells))} |"
