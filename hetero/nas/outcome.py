"""The outcome of a search: ``search.json`` for programs, ``search.md`` for people."""

from __future__ import annotations

from typing import Literal

from hetero.nas.cost.budget import is_measured
from hetero.nas.space.architecture import Architecture
from hetero.schema import record

FILE = "search.json"

LITTLE = 0.25
"""Share of the cloud's figure below which rewards count as chance."""


@record
class Judged:
    """A candidate in the record of a search.

    Attributes:
        name: The first letters of its digest.
        tier: The tier whose search proposed it.
        generation: The generation that it belongs to; 0 is the random one.
        figures: Rewards and their parts, on validation images, with the supernet's weights.
        costs: Costs by the names of :mod:`hetero.nas.cost.budget`.
    """

    name: str
    tier: str
    generation: int
    figures: dict[str, float]
    costs: dict[str, float]


@record
class Winner:
    """One tier's student-to-be.

    Attributes:
        tier: Name of the tier, and of the student.
        budget: Limits as numbers.
        architecture: The winning architecture.
        figures: Figures as in :class:`Judged`.
        costs: Costs as in :class:`Judged`.
    """

    tier: str
    budget: str
    architecture: Architecture
    figures: dict[str, float]
    costs: dict[str, float]


@record
class SearchOutcome:
    """A finished search.

    Attributes:
        name: Name of the recipe.
        reward: The reward that winners were chosen by.
        metric: The metric M of the rewards.
        algorithm: The algorithm that proposed candidates.
        seed: Seed of the search.
        points: Size of the search space.
        evaluations: Digest of everything that the figures depend on; names the file of evaluations.
        cloud: ``figure``, M(g, g) on the same images, and the cloud's ``macs`` and ``parameters`` where known.
        latency: The target that the latency table was measured on; empty without one.
        winners: One winner a tier.
        candidates: All candidates evaluated for this search, in order.
        schema: Version of this record.
    """

    name: str
    reward: str
    metric: str
    algorithm: str
    seed: int
    points: int
    evaluations: str
    cloud: dict[str, float]
    latency: dict[str, str]
    winners: tuple[Winner, ...]
    candidates: tuple[Judged, ...]
    schema: Literal["hetero/search/1"] = "hetero/search/1"

    def winner(self, tier: str) -> Winner:
        """Return a tier's student-to-be."""
        return next(winner for winner in self.winners if winner.tier == tier)


def as_page(result: SearchOutcome) -> str:
    """Write the outcome as a page of Markdown."""
    cloud, measured = result.cloud, [name for name in result.winners[0].costs if is_measured(name)]
    figures = {result.reward: result.reward} | {"r2": "M(a, g)", "r1": "M(a, a)"}
    lines = [
        f"# Search: {result.name}",
        "",
        f"{len(result.candidates):,} of {result.points:,} networks were judged with the weights of one supernet, "
        f"proposed by {result.algorithm}; the best by {result.reward} won. Figures are {result.metric} of validation "
        "images among distractors *before* a winner is trained by itself; they rank candidates and promise nothing. "
        f"The cloud's own is {cloud['figure']:.3f}.",
        *_doubt(result),
        "",
        _row("tier", "budget", *figures.values(), "MACs", "of the cloud's", "parameters", "MB", *map(_title, measured)),
        "|" + "---|" * (6 + len(figures) + len(measured)),
    ]
    for winner in result.winners:
        share = f"1/{cloud['macs'] / winner.costs['macs']:.0f}" if cloud.get("macs") else "unknown"
        cells = [
            winner.tier, winner.budget, *(f"{winner.figures[name]:.3f}" for name in figures),
            f"{winner.costs['macs'] / 1e6:.2f}M", share, f"{winner.costs['parameters'] / 1e3:.0f}k",
            f"{winner.costs['size_mb']:.2f}",
            *(_formatted(name, winner.costs[name]) for name in measured),
        ]  # fmt: skip
        lines.append(_row(*cells))
    if result.latency:
        source = f"predicted from operators measured on {_target(result.latency)}, one thread, float32"
        lines += ["", f"{' and '.join(map(_title, measured))}: {source}."]
    lines += ["", *(line for winner in result.winners for line in _description(winner))]
    return "\n".join(lines) + "\n"


def as_recipe(result: SearchOutcome, tables: dict[str, str]) -> str:
    """Write the winners as students of a recipe, to paste in place of the tiers so that nothing is searched again.

    Args:
        result: The search.
        tables: For each tier, its model as TOML.
    """
    parts = [f"# Found by hetero search {result.name}: best {result.reward} within each budget."]
    for winner in result.winners:
        parts += [f'\n# {winner.budget}\n[[students]]\nname = "{winner.tier}"\n{tables[winner.tier]}']
    return "\n".join(parts)


def _doubt(result: SearchOutcome) -> list[str]:
    """Return a warning when no winner stands out from chance."""
    best, cloud = max(winner.figures["r2"] for winner in result.winners), result.cloud["figure"]
    if best >= LITTLE * cloud:
        return []
    return [
        "",
        f"**The supernet has learnt too little to choose by**: its best M(a, g) is {best:.3f}. Train it for longer or "
        "at another learning rate, or offer fewer choices, and search again.",
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _title(quantity: str) -> str:
    unit, _, runtime = quantity.partition(".")
    return f"{'ms' if unit == 'latency_ms' else unit}, {runtime}"


def _formatted(quantity: str, value: float) -> str:
    return f"{value:.3f}" if quantity.startswith("latency_ms") else f"{value / 1e6:.2f}M"


def _target(description: dict[str, str]) -> str:
    return ", ".join(description[name] for name in ("name", "processor", "system") if name in description)


def _description(winner: Winner) -> list[str]:
    """Describe the winner's stages, a line each."""
    lines = [f"**{winner.tier}**, {winner.architecture.kind}", ""]
    for number, stage in enumerate(winner.architecture.stages, start=1):
        blocks = ", ".join(
            f"{block.kernel}x{block.kernel} x{block.expansion:g}" + (" SE" if block.squeeze_excite else "")
            for block in stage.blocks
        )
        lines.append(f"{number}. {stage.channels} channels, {stage.activation}: {blocks}")
    return [*lines, ""]
