"""``hetero backfill plan``: accuracy against the share re-embedded, and the images to re-embed first."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from hetero.display.wording import change_in_words, range_of_change
from hetero.files import write_bytes, write_text
from hetero.metrics.registry import choices, is_choice
from hetero.upgrade.backfill.figure import draw_curves
from hetero.upgrade.backfill.inputs import read_inputs
from hetero.upgrade.backfill.make import RANDOM, Ranking, make_plan
from hetero.upgrade.backfill.plan import BackfillPlan

Flag = Annotated[bool, Parameter(negative="")]


def _require_choice(_kind: Any, name: str) -> None:
    if not is_choice(name):
        raise ValueError(f"expected one of {', '.join(choices())}")


def plan_command(
    old: Path,
    new: Path,
    queries: Path,
    out: Path,
    *,
    labels: Path | None = None,
    metric: Annotated[str, Parameter(validator=_require_choice)] = "cmc@1",
    unlabelled: Flag = False,
    steps: PositiveInt = 10,
    random_orders: PositiveInt = 5,
    seed: NonNegativeInt = 0,
    assume_compatible: Flag = False,
) -> int:
    """Plan the re-embedding of a gallery after a model upgrade.

    Draws accuracy against the share of the gallery that the new model has re-embedded, for several orders (images
    that move most, images that lie with another class, and random ones), and lists which images to re-embed first.
    The order is chosen on one half of the queries; the figures are of the other half.

    Writes OUT/plan.json, OUT/curve.svg, OUT/curve.png and OUT/order.csv.

    Example: hetero backfill plan old.safetensors new.safetensors queries.safetensors plan --labels labels.csv

    Args:
        old: File of the gallery's embeddings by the old model, as `hetero embed` writes it.
        new: File of the same images' embeddings by the new model. Its space must name the old one as measured
            compatible, as `hetero upgrade` records it.
        queries: File of query images' embeddings by the new model.
        out: Folder to write to.
        labels: CSV file with the columns label and path (or name); without it, an image's class is the folder that
            it lies in.
        metric: What the order is chosen by: a metric of retrieval, for instance map@r.
        unlabelled: Leave out the order that needs the class of every gallery image, for instance because the plan is
            of a labelled sample of a gallery without labels.
        steps: Equal steps of the curve.
        random_orders: Random orders to compare with.
        seed: Decides halves, random orders and ties.
        assume_compatible: Mix vectors of spaces that were not measured to be compatible.
    """
    inputs = read_inputs(old, new, queries, labels, assume_compatible=assume_compatible)
    plan, ranking = make_plan(
        inputs.backfill,
        old_space=inputs.old.space_id,
        new_space=inputs.new.space_id,
        compatibility=inputs.compatibility,
        metric=metric,
        labelled=not unlabelled,
        steps=steps,
        random_orders=random_orders,
        seed=seed,
    )
    plan.save(out / "plan.json")
    write_bytes(out / "curve.svg", draw_curves(plan, format="svg"))
    write_bytes(out / "curve.png", draw_curves(plan, format="png"))
    write_text(out / "order.csv", _as_csv(ranking, inputs.names))
    print(_in_words(plan, out), file=sys.stderr)
    return 0


def _as_csv(ranking: Ranking, names: tuple[str, ...]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["rank", "name", "urgency"])
    for rank, row in enumerate(ranking.rows.tolist(), 1):
        writer.writerow([rank, names[row], f"{ranking.urgency[row]:.6g}"])
    return stream.getvalue()


def _in_words(plan: BackfillPlan, out: Path) -> str:
    curve = plan.orders[plan.chosen].curve[plan.metric]
    gain = plan.over_classes
    ends = range_of_change(-gain.high, -gain.low)
    verdict = "better than random orders" if gain.low > 0 else "not shown to be better than random orders"
    lines = [
        f"{plan.metric} of new queries: {curve[0]:.3f} now, {curve[-1]:.3f} with all {plan.gallery} images re-embedded",
        f"order {plan.chosen}: {verdict} (mean along the way {change_in_words(-gain.value)}, {ends})",
        *(
            f"  {name}: 95 % of the gain with {figures.enough:.0%} re-embedded"
            for name, figures in plan.orders.items()
            if figures.enough is not None and name in (plan.chosen, RANDOM)
        ),
        f"images to re-embed first: {out / 'order.csv'}; curves: {out / 'curve.svg'}",
    ]
    if plan.compatibility == "assumed":
        lines.insert(0, "compatibility of the two spaces was assumed, not measured")
    return "\n".join(lines)
