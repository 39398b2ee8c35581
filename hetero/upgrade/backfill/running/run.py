"""A whole backfill: fill, judge, swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hetero.display.text import say
from hetero.errors import InputError
from hetero.gallery.checked import CheckedStore
from hetero.space import EmbeddingSpace
from hetero.upgrade.backfill.running.fill import Patience, fill
from hetero.upgrade.backfill.running.gate import Limits, Queries, judge
from hetero.upgrade.backfill.running.source import VectorSource
from hetero.upgrade.backfill.running.workers import Workers

DONE, REFUSED, NOT_VERIFIED = 0, 1, 3
_ROUNDS = 50
"""How often a swap is tried while items come."""


@dataclass(frozen=True)
class Gate:
    """The gate before a swap.

    Attributes:
        queries: Held-out queries.
        limits: What the swap may cost.
    """

    queries: Queries
    limits: Limits


def run_backfill(
    store: CheckedStore,
    source: VectorSource,
    order: Mapping[str, int],
    workers: Workers,
    *,
    gate: Gate | None,
    batch_size: int,
    patience: Patience,
    rate: float | None = None,
) -> int:
    """Fill a gallery with vectors of a new space, and swap if the gate allows it.

    Args:
        store: The gallery.
        source: The new vectors.
        order: See :func:`hetero.upgrade.backfill.running.fill.fill`.
        workers: Likewise.
        gate: The gate; None to fill without a swap.
        batch_size: Items in a batch.
        patience: With a gallery that does not answer.
        rate: Most items a second; None for as fast as it goes.

    Returns:
        The exit status: 0 swapped, or filled; 1 the gate refuses; 3 too few queries to decide.

    Raises:
        InputError: When the source lacks items, workers or gallery are lost for good, or items come without end.
    """
    backfill = store.begin(source.space)
    fill_up = partial(fill, backfill, order=order, workers=workers, batch_size=batch_size, patience=patience, rate=rate)
    source = fill_up(source=source)
    if gate is None:
        say(f"every item has a vector of {named(source.space)}")
        return DONE
    gates = patience(judge, store, backfill, gate.queries, gate.limits)
    for one in gates:
        say(one.told)
    answers = {one.judgement.answer for one in gates}
    if "beyond" in answers:
        say("not swapped: the old space goes on being served")
        return REFUSED
    if "open" in answers:
        say(f"not swapped, not verified: about {max(one.judgement.needs for one in gates)} queries would decide")
        return NOT_VERIFIED
    for _ in range(_ROUNDS):
        if patience(backfill.try_swap):
            say(f"{named(source.space)} is served; `hetero backfill roll-back` undoes it")
            return DONE
        source = fill_up(source=source)
    raise InputError("items come faster than they can be embedded: pause whoever adds them for the swap, and run again")


def named(space: EmbeddingSpace) -> str:
    """Return a space's name for people, with the beginning of its id."""
    return f"{space.name} {space.version} ({space.space_id[:12]})"
