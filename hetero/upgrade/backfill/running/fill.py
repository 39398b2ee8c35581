"""Filling a gallery with vectors of a new space, in an order, through whatever dies on the way."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from jaxtyping import Int64

from hetero.data.embeddings.names import decoded_text
from hetero.display.progress import Bar
from hetero.display.text import say
from hetero.errors import InputError
from hetero.gallery.away import is_of_a_server
from hetero.gallery.checked import CheckedBackfill
from hetero.gallery.store import Item
from hetero.upgrade.backfill.running.source import VectorSource
from hetero.upgrade.backfill.running.workers import Batch, Here, Workers

P = ParamSpec("P")
T = TypeVar("T")
_ALL = 2**31 - 1
_SHOWN = 3
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two attempts to reach a gallery; they grow from one to the other."""


@dataclass(frozen=True)
class Patience:
    """How long a gallery that does not answer is waited for.

    Attributes:
        seconds: The longest wait.
        gallery: Name of the gallery, for people.
    """

    seconds: float
    gallery: str

    def __call__(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Repeat an action until the gallery answers; it must be one that may be repeated.

        Raises:
            InputError: When the gallery has not answered for too long.
        """
        first, pause = time.monotonic(), _SHORTEST_PAUSE
        while True:
            try:
                return action(*args, **kwargs)
            except Exception as error:
                if not is_of_a_server(error):
                    raise
                waited = time.monotonic() - first
                if waited >= self.seconds:
                    raise InputError(
                        f"{self.gallery} has not answered for {waited:.0f} s ({error}); what it acknowledged is "
                        "stored, and the same command continues"
                    ) from None
                if pause == _SHORTEST_PAUSE:
                    say(f"note: {self.gallery} does not answer; waiting up to {self.seconds:g} s", error=True)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


class Pace:
    """Leaves a machine time for other work.

    Args:
        rate: Most items a second; None for any.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate, self._next = rate, time.monotonic()

    def keep(self, items: int) -> None:
        """Wait until so many items more were due."""
        if self._rate is not None:
            self._next = max(self._next, time.monotonic() - items / self._rate) + items / self._rate
            time.sleep(max(0.0, self._next - time.monotonic()))


def read_order(path: Path) -> dict[str, int]:
    """Read the order of a plan: the place of each item's id.

    Args:
        path: A CSV file with the column ``name``, whose rows are in the order.

    Raises:
        InputError: When there is no such file, or it is not an order.
    """
    if not path.is_file():
        raise InputError(f"expected an order at {path}, as `hetero backfill plan` writes it (order.csv), found none")
    with io.StringIO(decoded_text(path), newline="") as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or ()
        if "name" not in columns:
            raise InputError(f"{path}: expected an order with the column name, got {', '.join(columns) or 'none'}")
        names = [row["name"] for row in reader]
    places = {name: place for place, name in enumerate(names)}
    if len(places) < len(names):
        raise InputError(f"{path}: {len(names) - len(places)} names are there more than once")
    return places


def fill(
    backfill: CheckedBackfill,
    source: VectorSource,
    order: Mapping[str, int],
    workers: Workers,
    *,
    batch_size: int,
    patience: Patience,
    rate: float | None = None,
) -> VectorSource:
    """Give every item a vector of the new space, until none is missing; each batch is one transaction.

    Args:
        backfill: The backfill.
        source: Where the vectors come from.
        order: Id -> place; items that are not in it come last.
        workers: Whoever computes the vectors.
        batch_size: Items in a batch.
        patience: With a gallery that does not answer.
        rate: Most items a second; None for as fast as it goes.

    Returns:
        The source, which was opened again if items came that it lacked.

    Raises:
        InputError: When the source lacks items, the workers or the gallery are lost for good.
    """
    is_first, pace = True, Pace(rate)
    while items := patience(backfill.missing, _ALL):
        rows = source.rows_of([item.id for item in items])
        if not is_first and (rows < 0).any():
            source = source.again()
            rows = source.rows_of([item.id for item in items])
        require_all(items, rows)
        if is_first and order and (last := sum(item.id not in order for item in items)):
            say(f"note: {last:,} of {len(items):,} missing items are not in the order; they come last", error=True)
        crew: Workers = workers if len(items) > batch_size else Here()
        with Bar[None](total=len(items), desc="backfill", unit="item") as bar:
            for batch, vectors in crew.vectors(source, batches(items, rows, order, batch_size)):
                patience(backfill.add, vectors, batch.items, source.space)
                bar.update(len(batch.items))
                pace.keep(len(batch.items))
        is_first = False
    return source


def batches(
    items: Sequence[Item], rows: Int64[np.ndarray, " n"], order: Mapping[str, int], size: int
) -> Iterator[Batch]:
    """Yield items in their order, so many at a time."""
    places = np.array([order.get(item.id, len(order)) for item in items], np.int64)
    ranking = np.argsort(places, kind="stable")
    for start in range(0, len(items), size):
        some = ranking[start : start + size]
        yield Batch([items[row] for row in some.tolist()], rows[some])


def require_all(items: Sequence[Item], rows: Int64[np.ndarray, " n"]) -> None:
    """Refuse items that the source has no image or vector of.

    Raises:
        InputError: With some of them.
    """
    lacking = [items[row].id for row in np.flatnonzero(rows < 0).tolist()]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(items)} items have neither image nor vector, for instance {lacking[:_SHOWN]}: "
            "give the data whose names are the items' ids, or remove these items"
        )
