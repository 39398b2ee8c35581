"""``hetero fleet``: N query models against M galleries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hetero.data.checking.check import config_for
from hetero.data.config import DataConfig
from hetero.errors import InputError
from hetero.upgrade.fleet.measure import Fleet, measure_fleet


def fleet_command(
    *members: Annotated[str, Parameter(help="NAME=PATH of model directories or files of embeddings.")],
    data: Annotated[Path | None, Parameter(help="A folder of class folders, or a CSV file.")] = None,
    emoji: Annotated[bool, Parameter(negative="", help="Measure on the built-in emoji set.")] = False,
    out: Annotated[Path, Parameter(help="Directory for matrix.json, matrix.svg and fleet.json.")] = Path("fleet"),
) -> int:
    """Measure every model as query model against every model's gallery, on the test images of one data set.

    Give cloud models from first to latest, each before its students. Prints the matrix in cmc@1, and average
    compatibility (AC): the share of pairs of a later and an earlier generation where the later one's queries do better
    on the earlier gallery than the earlier one's own. Where dimensions differ, longer vectors are truncated.

    Example: hetero fleet v1=models/v1 edge1=models/edge1 v2=models/v2 edge2=models/edge2 --data photos

    Args:
        members: NAME=PATH, or PATH alone, which is then named after its last part.
        data: A folder of class folders, or a CSV file.
        emoji: Measure on the built-in emoji set instead.
        out: Directory of the results.
    """
    if emoji == (data is not None):
        raise InputError("expected either --data PATH or --emoji")
    config = DataConfig(kind="emoji") if data is None else config_for(data)
    fleet = measure_fleet(config, _named(members))
    fleet.save(out)
    print(as_text(fleet))
    sys.stdout.flush()
    return 0


def as_text(fleet: Fleet, metric: str = "cmc@1") -> str:
    """Write the matrix as aligned columns, query models as rows, and AC."""
    names = fleet.matrix.models
    width = max(7, *(len(name) for name in names))
    lines = [f"{metric}, query model by gallery model", " " * width + "".join(f"  {name:>{width}}" for name in names)]
    for query in names:
        values = [fleet.matrix.value(metric, query, gallery) for gallery in names]
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"{query:<{width}}" + "".join(f"  {cell:>{width}}" for cell in cells))
    ac = fleet.ac[metric]
    lines.append("one generation: no AC" if ac is None else f"AC of {' -> '.join(fleet.generations)}: {ac:.2f}")
    return "\n".join(lines)


def _named(members: tuple[str, ...]) -> dict[str, Path]:
    pairs = [tuple(member.split("=", 1)) if "=" in member else (Path(member).stem, member) for member in members]
    names = [name for name, _ in pairs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"several models are called {', '.join(repeated)}; give each a name: NAME=PATH")
    return {name: Path(path) for name, path in pairs}
