"""``hetero explain``: the photos of an adaptation that made queries wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.display.text import one_line
from hetero.evaluation.decisions import Decisions, negative_flips
from hetero.files import write_text
from hetero.flags import AllowCode
from hetero.linear.command import OldPhotos, read_inputs
from hetero.linear.learnt import Learnt, Places


def explain_command(
    directory: Path,
    *,
    out: Path,
    flips: tuple[Path, Path] | None = None,
    most: PositiveInt = 10,
    steps: PositiveInt = 100,
    model: Path | None = None,
    data: Path | None = None,
    gallery: Path | None = None,
    anchors: OldPhotos = None,
    anchor_factors: Path | None = None,
    labels: Path | None = None,
    allow_code: AllowCode = False,
) -> int:
    """Find the photos of an adaptation that made test queries wrong that were right before.

    Writes a page with each such query, its results before and now, and the photos that caused the change; also the
    photos that fit least, whose labels may be wrong. A refused adaptation can be explained, too. All inputs must be the
    same as when the model was adapted.

    Example: hetero explain models/v1-new --out flips.html

    Args:
        directory: Folder that `hetero adapt` or `hetero forget` wrote.
        out: The page, an HTML file.
        flips: Two files of decisions, before and after, as `hetero evaluate` writes them: explain the queries that are
            right in the first and wrong in the second; without them, the queries that are measured here.
        most: Most queries to explain; each takes a solve.
        steps: Most steps of a solve.
        model: The model before it was adapted, if it has moved since; likewise for the options that follow.
        data: Photos of the new domain.
        gallery: File of the gallery's embeddings.
        anchors: Photos of the old domain.
        anchor_factors: File of factors in place of the anchors.
        labels: CSV file with the gallery's classes.
        allow_code: Allow a model to run its own code.
    """
    if allow_code:
        own_code.allow_code()
    names = None if flips is None else negative_flips(*map(Decisions.load, flips))
    learnt = Learnt.load(directory)
    options = {"model": model, "data": data, "gallery": gallery, "labels": labels}
    options |= {"anchors": anchors, "anchor_factors": anchor_factors}
    places = Places.of(options, learnt.places)
    new, old, stored = read_inputs(places, out=None, part=learnt.config.part)

    from hetero.linear.explanation.explain import explain
    from hetero.linear.explanation.page import page

    result = explain(
        directory,
        Path(places.model),
        new,
        old,
        stored,
        flips=names,
        most=most,
        steps=steps,
        anchor_factors=places.factors,
    )
    write_text(out, page(result, new, old, name=directory.resolve().name))
    print(
        f"{result.found} test queries were right before and are wrong now; leverage {result.leverage:.2f}, "
        f"{result.method}"
    )
    for title, photos in (("did most harm", result.causes), ("fit least", result.suspects)):
        print(f"photos that {title}:", *(f"  {photo.score:.3f} {one_line(photo.name)}" for photo in photos), sep="\n")
    if result.warning:
        print(f"warning: {result.warning}", file=sys.stderr)
    print(f"the page: {out}", file=sys.stderr)
    return 0
