"""``hetero adapt``: a model for a new domain that still searches the old gallery."""

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
from hetero.recognition.kinds import MODEL
from hetero.recognition.recognise import refuse_others

if TYPE_CHECKING:
    from hetero.data.images import Dataset
    from hetero.linear.gallery import OldGallery

DEFAULT = AdaptConfig()
OldPhotos = Annotated[Path | None, Parameter(name=("--anchors", "--old-photos"))]


def adapt_command(
    model: Path,
    *,
    data: Path,
    gallery: Path,
    out: Path,
    anchors: Path | None = None,
    anchor_factors: Path | None = None,
    old_photos: Path | None = None,
    labels: Path | None = None,
    part: Part = DEFAULT.part,
    anchor_weight: NonNegativeFloat = DEFAULT.anchor_weight,
    ridge: Annotated[tuple[float, ...], Parameter(negative="")] = DEFAULT.ridges,
    steps: PositiveInt = DEFAULT.steps,
    most_flips: NonNegativeFloat = DEFAULT.most_flips,
    seed: int = 0,
    allow_code: AllowCode = False,
) -> int:
    """Adapt a model to a new domain, inside its old space: no image of the old gallery is embedded again.

    New photos move to the gallery's vectors of the same item, or of their class; old photos are held where they are.
    Then the gain of new queries in the old gallery and the loss of old queries are measured on test photos of both.
    Writes a model directory of the same space only if new queries gain and old ones lose little, and in any case
    OUT/adapt.json with the figures and OUT/learnt.json with digests of the training data. Exits with 1 when it refuses.

    Example: hetero adapt models/v1 --data new --gallery old.safetensors --anchors old --out models/v1-new

    Args:
        model: A model directory: a cloud model, or a student that was not fine-tuned for int8.
        data: Photos of the new domain, laid out as for training.
        gallery: File of the gallery's embeddings, in the model's space, as `hetero embed` writes it.
        out: Folder of the adapted model, which must not hold a model yet.
        anchors: Photos of the old domain, laid out as for training.
        anchor_factors: In their place, where they are gone: the file that `hetero anchor-factors` wrote of them.
        old_photos: Beside it, old photos that are left or new ones of that domain, laid out as for training: nothing is
            learnt from them, but without them nobody knows what old queries lose.
        labels: CSV file with the columns label and path (or name) of the gallery; without it, an image's class is the
            folder that it lies in.
        part: Layers that may change: the embedding layer (neck), that and the last stage, or all.
        anchor_weight: Weight of the old photos relative to the new ones.
        ridge: Penalty on a change of the weights; validation chooses among several.
        steps: Most steps; with several ridges, half of them serve all ridges, and the rest the chosen one.
        most_flips: Largest share of old queries that may turn from right to wrong.
        seed: Seed of all random draws.
        allow_code: Allow a model to run its own code.
    """
    if allow_code:
        own_code.allow_code()
    config = AdaptConfig(
        part=part, anchor_weight=anchor_weight, ridges=ridge, steps=steps, most_flips=most_flips, seed=seed
    )
    old = _old_domain(anchors, anchor_factors, old_photos)
    places = Places.of({"model": model, "data": data, "gallery": gallery, "labels": labels, **old})
    new, old, stored = read_inputs(places, out=out, part=part)

    from hetero.linear.adaptation import adapt

    with locked(out):
        adaptation = adapt(model, new, old, stored, out, config, places, anchor_factors=anchor_factors)
    print(summary(adaptation))
    print(outcome(adaptation.refusals, adaptation.space, out), file=sys.stderr)
    return 1 if adaptation.refusals else 0


def _old_domain(anchors: Path | None, factors: Path | None, photos: Path | None) -> dict[str, Path | None]:
    """Return the places of what holds the old domain and measures it, by their names in the record."""
    if anchors is not None and factors is None and photos is None:
        return {"anchors": anchors}
    if anchors is None and factors is not None and photos is not None:
        return {"anchors": photos, "anchor_factors": factors}
    if factors is not None and anchors is None:
        raise InputError(
            "--anchor-factors: needs --old-photos, too: factors hold old queries where they are, but only photos of "
            "the old domain tell what is lost of them, and without that figure no model may keep the space"
        )
    raise InputError(
        "expected the old domain: either --anchors with its photos, or, where they are gone, --anchor-factors and "
        "--old-photos"
    )


def read_inputs(places: Places, *, out: Path | None, part: Part) -> tuple[Dataset, Dataset, OldGallery]:
    """Read the inputs of an adaptation: photos of both domains, prepared for the model, and the gallery.

    Args:
        places: Paths of the inputs.
        out: Directory that another model will be written to; None if none will.
        part: Part of the model that may change.

    Raises:
        InputError: With every problem of the inputs, before a photo is decoded.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    refuse_others(Path(places.model), MODEL)
    _require_photos(places)

    from hetero.linear.gallery import OldGallery
    from hetero.linear.solver.anchor_file import require_factors
    from hetero.linear.suited import require_suited

    if places.factors is not None:
        require_factors(places.factors)
    stored = OldGallery.load(Path(places.gallery), None if places.labels is None else Path(places.labels))
    preprocessing = require_suited(Path(places.model), stored, out, part)
    new, old = (prepare(config, preprocessing) for config in (places.data, places.anchors))
    return new, old, stored


def _require_photos(places: Places) -> None:
    """Refuse photos that cannot be found; emoji are drawn and need none."""
    problems: list[str] = []
    old = "--anchors" if places.anchor_factors is None else "--old-photos"
    for option, config in (("--data", places.data), (old, places.anchors)):
        if config.kind != "emoji":
            attempt(problems, option, lambda config=config: expected_names(config))
    if problems:
        raise InputError("the photos cannot be used:", problems)


def summary(measured: Adaptation) -> str:
    """Write an adaptation's figures as a few lines of text."""
    flips = measured.flips
    by_factors = " by their factors" if measured.by_factors else ""
    return "\n".join(
        [
            f"{measured.images} new photos, {measured.anchors} anchors{by_factors}, {measured.part}: "
            f"ridge {measured.ridge:g}, {measured.steps} steps to a residual of {measured.residual:.1%}, "
            f"weights moved by {measured.moved:.1%}",
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
    """Describe in a few lines of text whether a model was written or refused."""
    if not refusals:
        return f"the adapted model keeps the space {space}: {out}"
    reasons = [f"  - {reason}" for reason in refusals]
    return "\n".join(["refused: no model was written, since", *reasons, f"the figures: {out / RECORD}"])
