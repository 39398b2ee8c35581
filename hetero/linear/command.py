"""``hetero adapt``: a model for a new domain that goes on searching the old gallery."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, PositiveInt

from hetero import own_code
from hetero.data.prepare import expected_names, prepare
from hetero.errors import InputError
from hetero.flags import AllowCode
from hetero.linear.config import AdaptConfig, Part
from hetero.linear.learnt import Places
from hetero.linear.measure import RECORD, Adaptation, Change
from hetero.mistakes import attempt
from hetero.processes.lock import locked

if TYPE_CHECKING:
    from hetero.data.images import Dataset
    from hetero.linear.gallery import OldGallery

DEFAULT = AdaptConfig()


def adapt_command(
    model: Path,
    *,
    data: Path,
    gallery: Path,
    anchors: Path,
    out: Path,
    labels: Path | None = None,
    part: Part = DEFAULT.part,
    anchor_weight: NonNegativeFloat = DEFAULT.anchor_weight,
    ridge: Annotated[tuple[float, ...], Parameter(negative="")] = DEFAULT.ridges,
    steps: PositiveInt = DEFAULT.steps,
    most_flips: NonNegativeFloat = DEFAULT.most_flips,
    seed: int = 0,
    allow_code: AllowCode = False,
) -> int:
    """Adapt a model to a new domain, inside its old space: nothing of the old gallery is embedded again.

    New photos move to the gallery's vectors of the same item, or of their class; old photos are held where they are.
    Then it is measured, on test photos of both, what new queries gain in the old gallery and what old ones lose. Writes
    a model directory of the same space only if they gain and lose little, and in any case OUT/adapt.json, the figures,
    and OUT/learnt.json, what was learnt from. Exits with 1 when it refuses.

    Example: hetero adapt models/v1 --data new --gallery old.safetensors --anchors old --out models/v1-new

    Args:
        model: A model directory: a cloud model, or a student that was not fine-tuned for int8.
        data: Photos of the new domain, laid out as for training.
        gallery: File of the gallery's embeddings, in the model's space, as `hetero embed` writes it.
        anchors: Photos of the old domain, laid out as for training.
        out: Folder of the adapted model, which holds none yet.
        labels: CSV file with the columns label and path (or name) of the gallery; without it, an image's class is the
            folder that it lies in.
        part: What may change: the embedding layer (neck), that and the last stage, or all.
        anchor_weight: How much the old photos count beside the new ones.
        ridge: What a change of the weights costs; give several, and validation chooses.
        steps: Most steps; half of them serve all ridges, where there are several, and the others the one chosen.
        most_flips: Largest share of old queries that may turn from right to wrong.
        seed: Of what is drawn.
        allow_code: Run the code of its own that a model names.
    """
    if allow_code:
        own_code.allow_code()
    config = AdaptConfig(
        part=part, anchor_weight=anchor_weight, ridges=ridge, steps=steps, most_flips=most_flips, seed=seed
    )
    places = Places.of({"model": model, "data": data, "gallery": gallery, "anchors": anchors, "labels": labels})
    new, old, stored = read_inputs(places, out=out, part=part)

    from hetero.linear.adaptation import adapt

    with locked(out):
        measured = adapt(model, new, old, stored, out, config, places)
    print(summary(measured))
    print(outcome(measured.refusals, measured.space, out), file=sys.stderr)
    return 1 if measured.refusals else 0


def read_inputs(places: Places, *, out: Path | None, part: Part) -> tuple[Dataset, Dataset, OldGallery]:
    """Read what is adapted with: photos of the new domain and of the old one, as the model takes them, and the gallery.

    Args:
        places: Where they lie.
        out: Where another model will go; None for nowhere.
        part: What of the model may change.

    Raises:
        InputError: With what is wrong with any of them, before a photo is decoded.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    _require_photos(places)

    from hetero.linear.gallery import OldGallery
    from hetero.linear.suited import require_suited

    stored = OldGallery.load(Path(places.gallery), None if places.labels is None else Path(places.labels))
    preprocessing = require_suited(Path(places.model), stored, out, part)
    new, old = (prepare(config, preprocessing) for config in (places.data, places.anchors))
    return new, old, stored


def _require_photos(places: Places) -> None:
    """Look for the two sets of photos; emoji are drawn."""
    problems: list[str] = []
    for option, config in (("--data", places.data), ("--anchors", places.anchors)):
        if config.kind != "emoji":
            attempt(problems, option, lambda config=config: expected_names(config))
    if problems:
        raise InputError("the photos cannot be used:", problems)


def summary(measured: Adaptation) -> str:
    """An adaptation's figures as a few lines of text."""
    flips = measured.flips
    return "\n".join(
        [
            f"{measured.images} new photos, {measured.anchors} anchors, {measured.part}: ridge {measured.ridge:g}, "
            f"{measured.steps} steps to a residual of {measured.residual:.1%}, weights moved by {measured.moved:.1%}",
            _line("new", measured.new),
            _line("old", measured.old),
            f"old queries right before and wrong now: {flips.value:.3f} [{flips.low:.3f}, {flips.high:.3f}]",
            f"as a linear model, new queries find {measured.linear:.3f}; as written {measured.new.after:.3f}",
        ]
    )


def _line(name: str, change: Change) -> str:
    gain = change.difference
    return (
        f"{name} queries in the old gallery, cmc@1: {change.before:.3f} before, {change.after:.3f} now "
        f"({gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], {change.queries} queries)"
    )


def outcome(refusals: Sequence[str], space: str, out: Path) -> str:
    """What became of a model, as a few lines of text."""
    if not refusals:
        return f"the adapted model keeps the space {space}: {out}"
    reasons = [f"  - {reason}" for reason in refusals]
    return "\n".join(["refused: no model was written, since", *reasons, f"the figures: {out / RECORD}"])
