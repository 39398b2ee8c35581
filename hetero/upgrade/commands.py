"""``hetero upgrade``: a new cloud model without re-indexing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hetero import own_code
from hetero.data.prepare import prepare
from hetero.display.wording import change_in_words, range_of_change
from hetero.flags import AllowCode
from hetero.metrics.bootstrap import Interval
from hetero.pipeline.engine.together import joined, require_shared_folder
from hetero.processes.launch import own_rank
from hetero.processes.lock import locked
from hetero.processes.ranks import first_rank_first
from hetero.upgrade.config import load_upgrade_recipe
from hetero.upgrade.measure import Upgrade


def upgrade_command(
    recipe: Annotated[Path, Parameter(help="A TOML file with [data], [preprocessing], [cloud] and [upgrade].")],
    *,
    old: Annotated[Path | None, Parameter(help="Overrides the recipe's old model.")] = None,
    data: Annotated[Path | None, Parameter(help="Overrides the path of the recipe's data.")] = None,
    out: Annotated[Path | None, Parameter(help="The new model directory; default models/NAME.")] = None,
    seed: Annotated[int | None, Parameter(help="Overrides the recipe's seed.")] = None,
    resume: Annotated[bool, Parameter(help="Continue interrupted training from its checkpoint.")] = True,
    allow_code: AllowCode = False,
) -> int:
    """Train a new cloud model whose queries search the old model's gallery, and measure that they do.

    Writes a model directory whose space.json names the old space with the figures, and upgrade.json with all figures.
    An interrupted run continues. Exits with 1 when new queries do worse on the old gallery than old ones did.

    Example: hetero upgrade upgrade.toml --old models/v1 --out models/v2

    Args:
        recipe: A TOML file.
        old: The old model's directory, or a file of its embeddings of all images.
        data: Overrides the path of the recipe's data.
        out: The new model directory.
        seed: Overrides the recipe's seed.
        resume: Continue interrupted training from its checkpoint.
        allow_code: Allow a recipe, search space or model to run its own code.
    """
    if allow_code:
        own_code.allow_code()
    plan = load_upgrade_recipe(recipe, data=data, old=old, seed=seed)
    path = Path(plan.upgrade.old)

    from hetero.upgrade.train import train_upgrade

    directory = out or Path("models") / plan.name
    with joined():
        dataset = first_rank_first(lambda: prepare(plan.data, plan.preprocessing))
        with locked(directory, shared=True):
            require_shared_folder(directory)
            result = train_upgrade(
                dataset,
                path,
                plan.cloud,
                plan.upgrade,
                plan.preprocessing,
                directory,
                seed=plan.seed,
                resume=resume,
            )
    if own_rank() == 0:
        print(summary(result))
        sys.stdout.flush()
    return 1 if result.status == "fails" else 0


def summary(measured: Upgrade) -> str:
    """Write an upgrade's figures as a few lines of text."""
    lines = [f"criterion M(new, old) > M(old, old): {measured.status}"]
    for figures in measured.figures:
        change = figures.criterion
        lines.append(
            f"{figures.metric}: M(old, old) {figures.old:.3f}, M(new, old) {figures.cross:.3f} "
            f"({change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]), M(new, new) {figures.own:.3f}"
        )
        if figures.alone is not None and figures.tax is not None:
            cost = figures.tax
            tax = f"{change_in_words(cost.value, digits=3)} ({range_of_change(cost.low, cost.high, digits=3)})"
            lines.append(
                f"  without the constraint: M(n*, n*) {figures.alone:.3f}, M(n*, old) {figures.alone_cross:.3f}; "
                f"tax: M(new, new) {tax}; {_update_gain(figures.gain)}"
            )
    return "\n".join(lines)


def _update_gain(gain: Interval | None) -> str:
    if gain is None:
        return "nothing to gain"
    name = "update gain" if gain.value > 0 else "no update gain:"
    return f"{name} {gain.value:.2f} [{gain.low:.2f}, {gain.high:.2f}]"
