"""The command ``hetero compare``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.data.config import path_text
from hetero.errors import InputError
from hetero.flags import AllowCode


def compare_command(
    comparison: Annotated[Path, Parameter(help="A TOML file, or the name of a built-in comparison: emoji, photos.")],
    *,
    data: Annotated[Path | None, Parameter(help="Overrides the path of the comparison's data.")] = None,
    out: Annotated[Path | None, Parameter(help="Directory of the result; default runs/compare-NAME.")] = None,
    seeds: Annotated[
        list[int] | None, Parameter(help="Override the comparison's seeds.", consume_multiple=True)
    ] = None,
    methods: Annotated[list[str] | None, Parameter(help="Compare these only.", consume_multiple=True)] = None,
    steps: Annotated[PositiveInt | None, Parameter(help="Overrides the students' optimiser steps.")] = None,
    jobs: Annotated[PositiveInt, Parameter(help="Models trained at once.")] = 1,
    allow_code: AllowCode = False,
) -> int:
    """Train methods under one budget, with several seeds; choose on validation classes, report on test classes.

    Writes compare.json, compare.md (the table) and compare.svg. A method is called best only when its 95 % interval
    against every other lies above zero. An interrupted comparison continues.

    Example: hetero compare emoji --jobs 2 --out runs/compare-emoji

    Args:
        comparison: The comparison.
        data: Overrides the path of the comparison's data.
        out: Directory of the result.
        seeds: Override the comparison's seeds.
        methods: Compare these only.
        steps: Overrides the students' optimiser steps.
        jobs: Models trained at once.
        allow_code: Allow a recipe, search space or model to run its own code.
    """
    if allow_code:
        own_code.allow_code()
    from hetero.compare.compare import compare
    from hetero.compare.config import built_in_comparison, is_built_in, load_comparison
    from hetero.compare.outcome import as_table
    from hetero.pipeline.preflight.checks import recipe_preflight

    config = built_in_comparison(str(comparison)) if is_built_in(str(comparison)) else load_comparison(comparison)
    if data is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=path_text(data)))
    if seeds:
        config = dataclasses.replace(config, seeds=tuple(seeds))
    if methods:
        config = config.only(methods)
    if steps is not None:
        config = config.with_steps(steps)
    if problems := recipe_preflight(config.recipe(config.seeds[0])):
        raise InputError(f"{comparison} is not valid:", problems)
    root = out or Path("runs") / f"compare-{config.name}"
    result = compare(config, root, processes=jobs)
    print(as_table(result))
    print(f"see {root / 'compare.md'} and {root / 'compare.svg'}", file=sys.stderr)
    return 0
