"""``hetero gallery compact``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.display.text import say
from hetero.flags import AllowCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetero.compact.compaction import Compaction
    from hetero.compact.cost import Cost

Paths = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")]


def compact_command(
    source: str,
    *,
    out: Path,
    dimensions: PositiveInt = 64,
    precision: Literal["float16", "int8", "binary"] = "int8",
    rotation: Literal["pca", "itq"] = "pca",
    queries: Paths = (),
    labels: str = "",
    students: Paths = (),
    tenant: str = "",
    allow_code: AllowCode = False,
) -> int:
    """Write a smaller copy of a gallery: fewer dimensions and bits a vector, and students that answer in its space.

    A rotation is fitted to the vectors, after which few coordinates say nearly as much as all. Nothing is embedded or
    trained again: vectors are rotated, and the rotation goes into the last layer of each student. The copy has a space
    of its own, which names the old one; neither takes vectors of the other.

    Example: hetero gallery compact cloud_embeddings.safetensors --out small --students runs/demo/students/edge-m

    Example: hetero gallery compact usearch:gallery --out small --dimensions 32 --queries edge.safetensors

    Example: hetero gallery compact postgresql://owner@host/shop --out small

    Args:
        source: A file of embeddings, a folder of shards, a saved gallery, or the address of a store.
        out: Directory for space.json, rotation.safetensors, the vectors, students/ and compact.json.
        dimensions: Coordinates to keep, fewer than there are.
        precision: Bits of a coordinate: 16, 8, or the sign alone beside 8 bits that rescore; files only.
        rotation: pca orders coordinates, so that shorter prefixes are spaces, too; itq turns them to suit signs.
        queries: Files of embeddings by the students that will ask, in the old space, to measure with. A query does not
            find itself.
        labels: Classes of queries and gallery: a CSV file with the columns path and label, or the word folders. Without
            them, a query should find what it finds in the whole gallery.
        students: Model directories of the old space.
        tenant: Of a store: the tenant that is searched to measure.
        allow_code: Run the code of its own that a model names.
    """
    if allow_code:
        own_code.allow_code()
    from hetero.compact.compaction import compact

    result = compact(
        source,
        out,
        dimensions=dimensions,
        precision=precision,
        kind=rotation,
        queries=queries,
        labels=labels,
        students=students,
        tenant=tenant,
    )
    say(_summary(out, result))
    for name, costs in result.costs.items():
        say(as_text(name, costs))
    return 0


def as_text(name: str, costs: Sequence[Cost]) -> str:
    """Write the figures of one file of queries as aligned columns."""
    first = costs[0]
    lines = [f"{name}: {first.queries:,} queries; differences with 95 % intervals over {first.over}"]
    lines += [f"  {'stored as':22}  {'bytes':>5}  {first.metric:>20}  difference from the whole gallery"]
    for one in costs:
        if one.metric == first.metric:
            stored = f"{one.dimension} {one.kind}, {one.precision}"
            loss = f"{one.loss.value:+.4f} [{one.loss.low:+.4f}, {one.loss.high:+.4f}]"
            lines.append(f"  {stored:22}  {one.bytes:5g}  {one.value:20.4f}  {loss}")
    return "\n".join(lines)


def _summary(out: Path, result: Compaction) -> str:
    before = result.parent_dimension * 4
    folded = f", {len(result.students)} students" if result.students else ""
    return (
        f"{out}: {result.vectors:,} vectors of {result.dimension} dimensions, {result.bytes:g} bytes each in place of "
        f"{before:,} in float32{folded}; space {result.space[:12]} derived from {result.parent[:12]}"
    )
