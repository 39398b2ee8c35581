"""The command ``hetero search``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.flags import AllowCode
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.draft import draft_called
from hetero.processes.launch import own_rank


def search_command(
    recipe: Annotated[Path, Parameter(help="A TOML file with [[tiers]], or the built-in demo-search.")],
    *,
    data: Annotated[Path | None, Parameter(help="Overrides the path of the recipe's data.")] = None,
    out: Annotated[Path | None, Parameter(help="Directory of the run; default runs/NAME.")] = None,
    seed: Annotated[int | None, Parameter(help="Overrides the recipe's seed.")] = None,
    jobs: Annotated[PositiveInt, Parameter(help="Candidates judged at once.")] = 1,
    ray: Annotated[str, Parameter(help="Judge on a Ray cluster at this address, for instance auto.")] = "",
    resume: Annotated[bool, Parameter(help="Continue interrupted training from its checkpoint.")] = True,
    allow_code: AllowCode = False,
) -> int:
    """Find one student for each of a recipe's device tiers: the best within its budget, all from one supernet.

    Trains the cloud model and the supernet unless that is done already, then searches. Writes search.json, search.md,
    front.svg, architectures.svg and students.toml to the run's folder search; `hetero run` with the same --out
    continues from there. A killed search continues with nothing lost. The result does not depend on --jobs or --ray.

    Example: hetero search demo-search --jobs 2 --out runs/search

    Args:
        recipe: A recipe with tiers.
        data: Overrides the path of the recipe's data.
        out: Directory of the run.
        seed: Overrides the recipe's seed.
        jobs: Candidates judged at once on this machine.
        ray: Address of a Ray cluster whose nodes see the run's directory at the same path.
        resume: Continue interrupted training from its checkpoint.
        allow_code: Run the code that a recipe, search space or model names.
    """
    if allow_code:
        own_code.allow_code()
    draft = draft_called(recipe, data=data, seed=seed)
    if not draft.recipe.tiers and not draft.doubts("tiers"):
        draft.require_sound(
            "tiers: missing; expected at least one, for instance "
            '[[tiers]] with name = "watch" and budget = "macs <= cloud/80"'
        )
    root = out or Path("runs") / draft.recipe.name
    workers = WorkersConfig(processes=jobs, ray=ray)
    status = run_until(draft, root, None, "search", resume, workers)
    if own_rank() == 0:
        print((root / "search" / "search.md").read_text(encoding="utf-8"))
        print(f"see {root / 'search'}; go on with: hetero run {recipe} --out {root}", file=sys.stderr)
    return status
