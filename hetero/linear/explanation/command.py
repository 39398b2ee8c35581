"""``hetero explain``: which photos of an adaptation made queries wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.display.text import one_line
from hetero.evaluation.decisions import Decisions, negative_flips
from hetero.files import write_text
from hetero.flags import AllowCode
from hetero.linear.command import read_inputs
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
    anchors: Path | None = None,
    labels: Path | None = None,
    allow_code: AllowCode = False,
) -> int:
    """Tell which photos of an adaptation made test queries wrong that were right before.

    Writes a page with each such query, what it found before and finds now, and the photos that did it; beside it, the
    photos that fit least, whose labels may be wrong. A refused adaptation can be explained, too. Everything has to be
    as it was when the model was adapted.

    Example: hetero explain models/v1-new --out flips.html

    Args:
        directory: What `hetero adapt` wrote, or `hetero forget`.
        out: The page, an HTML file.
        flips: Two files of decisions, before and after, as `hetero evaluate` writes them: explain the queries that the
            first has right and the second wrong; without them, those that are found here.
        most: Queries to explain; each takes a solve.
        steps: Most steps of a solve.
        model: The model before it was adapted, if it does not lie where it did then; so for what follows.
        data: Photos of the new domain.
        gallery: File of the gallery's embeddings.
        anchors: Photos of the old domain.
        labels: CSV file with the gallery's classes.
        allow_code: Run the code of its own that a model names.
    """
    if allow_code:
        own_code.allow_code()
    learnt = Learnt.load(directory)
    asked = None if flips is None else negative_flips(*map(Decisions.load, flips))
    given = {"model": model, "data": data, "gallery": gallery, "anchors": anchors, "labels": labels}
    places = Places.of(given, learnt.places)
    new, old, stored = read_inputs(places, out=None, part=learnt.config.part)

    from hetero.linear.explanation.explain import explain
    from hetero.linear.explanation.page import page

    seen = explain(directory, Path(places.model), new, old, stored, flips=asked, most=most, steps=steps)
    write_text(out, page(seen, new, old, name=directory.resolve().name))
    print(f"{seen.found} test queries were right before and are wrong now; leverage {seen.leverage:.2f}, {seen.method}")
    for title, photos in (("did most harm", seen.causes), ("fit least", seen.suspects)):
        print(f"photos that {title}:", *(f"  {one.score:.3f} {one_line(one.name)}" for one in photos), sep="\n")
    if seen.warning:
        print(f"warning: {seen.warning}", file=sys.stderr)
    print(f"the page: {out}", file=sys.stderr)
    return 0
