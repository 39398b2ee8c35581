"""The command ``hetero device latency``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from export.formats import TIMED
from hetero import own_code
from hetero.flags import AllowCode

if TYPE_CHECKING:
    _Timed = str
else:
    _Timed = Literal[TIMED]


def latency_command(
    recipe: Path,
    *,
    out: Path = Path("latency.json"),
    target: str = "desktop",
    formats: Annotated[tuple[_Timed, ...], Parameter(consume_multiple=True)] = TIMED,
    sweeps: PositiveInt | None = None,
    dimension: PositiveInt | None = None,
    allow_code: AllowCode = False,
) -> int:
    """Measure every operator of a recipe's search space on a target, once, for budgets that limit latency.

    Writes the table that `latency = "..."` under a recipe's [search] names. Converted operators stay in the cache, so
    the next measurement starts at once. Operators run in one thread, on a batch of one, in float32; the lowest of many
    runs counts. The table holds milliseconds for this machine and an attached phone, and instructions for
    phone-system:count.

    Examples:
        hetero device latency recipe.toml --out latency.json
        hetero device latency recipe.toml --target adb:SERIAL --out phone.json

    Args:
        recipe: A recipe with a search space.
        out: The file to write.
        target: desktop, adb:SERIAL or phone-system:count.
        formats: Formats whose runtimes are measured.
        sweeps: Times that each operator is measured, spread out; default 5, or 1 where instructions are counted.
        dimension: Dimension of the embeddings; default that of the recipe's cloud model.
        allow_code: Run the code that a recipe, search space or model names.
    """
    if allow_code:
        own_code.allow_code()
    from device_tests.latency.measure import COUNTED_SWEEPS, SWEEPS, measure_latency
    from device_tests.targets.registry import stopwatch
    from hetero.errors import InputError
    from hetero.nas.cost.layers import layers_of_space
    from hetero.pipeline.draft import recipe_called

    if (sweeps is not None and sweeps < 1) or not formats:
        raise InputError(f"expected at least one sweep and one format, got {sweeps} and {list(formats)}")
    plan, watch = recipe_called(recipe), stopwatch(target)
    size = dimension or plan.cloud.model.dimension
    layers = layers_of_space(plan.search.search_space, plan.preprocessing, size)
    with contextlib.closing(watch):
        watch.set_up()
        table = measure_latency(watch, layers, formats, sweeps=sweeps or (COUNTED_SWEEPS if watch.counting else SWEEPS))
    table.save(out)
    for runtime, measured in table.measured.items():
        call = f"{measured.call:,.0f} instructions" if watch.counting else f"{measured.call:.4f} ms"
        print(f"{runtime} {measured.version}: {len(measured.operators)} operators, a call {call}")
    print(out, file=sys.stderr)
    return 0
