"""Changes since an earlier verification, judged against chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_tests.answers.embeddings import DeviceEmbeddings, embeddings_file, load_embeddings
from device_tests.ladder.sample import with_queries
from device_tests.verdict.verdict import Row
from export.bundle.reading import Bundle
from hetero.errors import InputError
from hetero.files import read_json
from hetero.metrics.bootstrap import difference_interval
from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.recognition.kinds import VERDICT
from hetero.recognition.recognise import refuse_others

Key = tuple[str, str, str, str, str]
_TOLD = {
    "preprocessing": ("largest_mean_difference",),
    "parity": ("largest_one_minus_cosine",),
    "retrieval": ("cmc@1", "map@r", "overlap@10"),
    "text": ("cmc@1", "map@r"),
    "evidence": ("cmc@1", "map@r"),
    "cost": ("latency_median_ms", "instructions_median", "peak_memory_bytes", "file_bytes"),
}
_NOTABLE = 0.01
_TWO_SIDED = 1.96


@dataclass(frozen=True)
class Move:
    """A difference from the baseline.

    Attributes:
        where: Bundle, target, format, precision and rung.
        what: A figure's name, or ``status``.
        before: Its value in the baseline.
        now: Its value today.
        regression: True if it got worse by more than chance.
        note: The evidence for that.
    """

    where: Key
    what: str
    before: str
    now: str
    regression: bool = False
    note: str = ""


def compare(rows: Sequence[Row], baseline: Path, out: Path, bundles: Mapping[str, Bundle]) -> list[Move]:
    """Compare rows with those of an earlier verification.

    A rung that passed and no longer passes is a regression; so is a fall of cmc@1 beyond its 95 % interval. That is
    paired over the same queries when the earlier embeddings lie beside the baseline and belong to the same goldens;
    otherwise it follows from the numbers of queries, which detects only larger falls.

    Args:
        rows: The rows of this verification.
        baseline: An earlier ``verdict.json``.
        out: Directory of this verification's embeddings.
        bundles: Bundles by name.

    Raises:
        InputError: If the baseline is no verdict.
    """
    earlier = read_baseline(baseline)
    moves: list[Move] = []
    for row in rows:
        key: Key = (row.bundle, row.target, row.format, row.precision, row.rung)
        if (old := earlier.pop(key, None)) is None:
            moves.append(Move(key, "status", "not in the baseline", row.status))
            continue
        moves += _status(key, old, row)
        moves += [move for name in _TOLD.get(row.rung, ()) if (move := _figure(key, name, old, row))]
        if row.rung == "retrieval" and (move := _retrieval(key, old, row, (baseline.parent, out), bundles)):
            moves.append(move)
    moves += [
        Move(key, "status", str(old["status"]), "gone", old["status"] == "pass", "it was verified before")
        for key, old in earlier.items()
    ]
    return moves


def read_baseline(path: Path) -> dict[Key, Mapping[str, Any]]:
    """Read the rows of an earlier verification by their keys.

    Raises:
        InputError: If the file is no verdict.
    """
    refuse_others(path, VERDICT)
    if not path.is_file():
        raise InputError(f"expected a baseline, an earlier verdict.json, at {path}, found none")
    try:
        rows = read_json(path)
        return {(r["bundle"], r["target"], r["format"], r["precision"], r["rung"]): r for r in rows if r["status"]}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a verdict.json: {error!r}") from None


def _status(key: Key, old: Mapping[str, Any], row: Row) -> list[Move]:
    if old["status"] == row.status:
        return []
    worse = old["status"] == "pass" and not row.excused
    return [Move(key, "status", str(old["status"]), row.status, worse, row.reason if worse else "")]


def _figure(key: Key, name: str, old: Mapping[str, Any], row: Row) -> Move | None:
    before, now = old["figures"].get(name), row.figures.get(name)
    if not isinstance(before, int | float) or not isinstance(now, int | float) or before == now:
        return None
    if abs(now - before) <= _NOTABLE * max(abs(before), abs(now)):
        return None
    return Move(key, name, f"{before:.6g}", f"{now:.6g}")


def _retrieval(
    key: Key, old: Mapping[str, Any], row: Row, places: tuple[Path, Path], bundles: Mapping[str, Bundle]
) -> Move | None:
    """Return a fall of cmc@1 beyond chance."""
    before, now = old["figures"].get("cmc@1"), row.figures.get("cmc@1")
    if not isinstance(before, int | float) or not isinstance(now, int | float) or now >= before:
        return None
    if not before <= 1:
        raise InputError(f"{places[0]}: the baseline is no verdict: {' '.join(key)} has a cmc@1 of {before}")
    embeddings = [load_embeddings(embeddings_file(place, *key[:4])) for place in places]
    if row.bundle in bundles and embeddings[0] is not None and embeddings[1] is not None:
        low, high, note = _paired(bundles[row.bundle], embeddings[0], embeddings[1])
    else:
        low, high, note = _unpaired(float(before), float(now), old["figures"], row.figures)
    if low <= 0:
        return None
    return Move(key, "cmc@1", f"{before:.4f}", f"{now:.4f}", True, f"fell by {low:.4f} to {high:.4f}, {note}")


def _paired(bundle: Bundle, old: DeviceEmbeddings, new: DeviceEmbeddings) -> tuple[float, float, str]:
    goldens = with_queries(bundle.goldens, new.query_rows)

    def measured(answers: DeviceEmbeddings) -> TaskResult:
        placed = np.zeros_like(goldens.retrieval_student)
        placed[answers.query_rows] = answers.query
        return evaluate_tasks(placed, goldens.retrieval_cloud, goldens.retrieval_labels, goldens.tasks)

    if old.query.shape != new.query.shape or not np.array_equal(old.query_rows, new.query_rows):
        return 0.0, 0.0, "the queries are not the same"
    before, now = measured(old), measured(new)
    clusters = before.clusters(before.resampled)
    interval = difference_interval(before.per_query("cmc@1"), now.per_query("cmc@1"), clusters=clusters)
    return interval.low, interval.high, "95 % interval, paired over the same queries"


def _unpaired(before: float, now: float, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[float, float, str]:
    counts = [float(figures.get("queries") or 1) for figures in (old, new)]
    variance = sum(share * (1 - share) / count for share, count in zip((before, now), counts, strict=True))
    half = _TWO_SIDED * math.sqrt(variance)
    return before - now - half, before - now + half, "95 % interval from the numbers of queries"
