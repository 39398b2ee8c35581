"""The part of a search space whose networks an accelerator takes in few enough pieces.

A layer divides a network by the kind of its operators, whatever its size: such options are left out, and nothing is
drawn that would be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hetero.errors import InputError
from hetero.nas.algorithms.allowed import Costs
from hetero.nas.cost.budget import Budget, Limit, divided_by
from hetero.nas.space.space import SearchSpace, Value
from hetero.nas.space.stage_space import OF_BLOCK, OF_STAGE

_Choices = dict[tuple[int, str], Value]
"""A choice for each stage and name of :class:`~hetero.nas.space.stage_space.StageSpace`; all blocks share it."""


def undivided(space: SearchSpace, budget: Budget, costs: Costs) -> SearchSpace:
    """Leave out options that divide a network into more pieces than a budget allows, whatever else is chosen.

    The space's smallest point is then one with the fewest pieces.

    Args:
        space: The search space.
        budget: Limits as numbers.
        costs: Returns the costs of a point.

    Raises:
        InputError: If no network of the space has as few pieces.
    """
    for limit in budget.limits:
        if divided_by(limit.quantity):
            space = _within(space, limit, costs)
    return space


def _within(space: SearchSpace, limit: Limit, costs: Costs) -> SearchSpace:
    kept: dict[tuple[int, str], dict[Value, float]] = {}
    kinds: list[str] = []
    least = float("inf")
    for kind in space.kind:
        pieces = _Pieces(replace(space, kind=(kind,)), limit.quantity, costs)
        best = pieces.fewest()
        least = min(least, pieces(best))
        if pieces(best) > limit.most:
            continue
        kinds.append(kind)
        for place, options in pieces.options():
            counts = {option: pieces(best | {place: option}) for option in options}
            kept.setdefault(place, {}).update({o: count for o, count in counts.items() if count <= limit.most})
    if not kinds:
        raise InputError(f"{limit}: the network with the fewest has {least:g}")
    stages = tuple(
        replace(stage, **{name: _fewest_first(getattr(stage, name), kept[index, name]) for name in _NAMES})
        for index, stage in enumerate(space.stages)
    )
    return replace(space, kind=tuple(kinds), stages=stages)


_NAMES = (*OF_STAGE, *OF_BLOCK)


def _fewest_first(options: tuple[Any, ...], pieces: dict[Value, float]) -> tuple[Any, ...]:
    """Return the options that are kept, in their order but for those that divide."""
    return tuple(sorted((option for option in options if option in pieces), key=lambda option: pieces[option]))


class _Pieces:
    """The number of pieces of a point whose stages have blocks of one kind each."""

    def __init__(self, space: SearchSpace, quantity: str, costs: Costs) -> None:
        self._space, self._quantity, self._costs = space, quantity, costs

    def options(self) -> Iterator[tuple[tuple[int, str], tuple[Value, ...]]]:
        """Yield every choice with its options."""
        for index, stage in enumerate(self._space.stages):
            yield from (((index, name), getattr(stage, name)) for name in _NAMES)

    def fewest(self) -> _Choices:
        """Return the choices with the fewest pieces; of equal ones, the first."""
        best: _Choices = {place: options[0] for place, options in self.options()}
        for place, options in self.options():
            best[place] = min(options, key=lambda option: self(best | {place: option}))
        return best

    def __call__(self, choices: _Choices) -> float:
        values: dict[str, Value] = {"kind": self._space.kind[0]}
        for gene in self._space.genes:
            if gene != "kind":
                stage, *_, name = gene.split(".")
                values[gene] = choices[int(stage), name]
        return self._costs(self._space.build(values))[self._quantity]
