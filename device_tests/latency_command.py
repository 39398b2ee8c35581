"""The command ``hetero device latency``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def latency_command(
    recipe: Path,
    *,
    out: Path = Path("latency.json"),
    formats: Annotated[tuple[Literal["onnx", "litert"], ...], Parameter(consume_multiple=True)] = ("onnx", "litert"),
    sweeps: int = 5,
    dimension: int | None = None,
) -> int:
    """Measure every operator of a recipe's search space on this machine, once, for budgets that limit latency.

    Writes the table that `latency = "..."` under a recipe's [search] names. Converted operators stay in the cache: an
    interrupted measurement continues, and another one starts at once. One thread, batch of one, float32; what counts is
    the least of many runs.

    Example: hetero device latency recipe.toml --out latency.json

    Args:
        recipe: A recipe with a search space.
        out: The table.
        formats: Runtimes to measure: onnx is ONNX Runtime, litert is LiteRT.
        sweeps: How often each operator is timed, spread over the measurement.
        dimension: Of the embeddings; by default the recipe's cloud model's.
    """
    from device_tests.latency import measure_latency
    from hetero.errors import InputError
    from hetero.recipe import recipe_called
    from hetero.search.layers import layers_of_space

    if sweeps < 1 or not formats:
        raise InputError(f"expected at least one sweep and one format, got {sweeps} and {list(formats)}")
    asked = recipe_called(recipe)
    size = dimension or asked.cloud.model.dimension
    layers = layers_of_space(asked.search.search_space, asked.preprocessing, size)
    table = measure_latency(layers, formats, sweeps=sweeps)
    table.save(out)
    for runtime, measured in table.measured.items():
        print(f"{runtime} {measured.version}: {len(measured.operators)} operators, a call {measured.call_ms:.4f} ms")
    print(out, file=sys.stderr)
    return 0
