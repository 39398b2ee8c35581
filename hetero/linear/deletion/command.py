"""``hetero forget``: the adapted model as if some photos had never been used."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.data.embeddings.names import decoded_text
from hetero.errors import InputError
from hetero.flags import AllowCode
from hetero.linear.command import OldPhotos, outcome, read_inputs, summary
from hetero.linear.learnt import Learnt, Places
from hetero.processes.lock import locked


def forget_command(
    directory: Path,
    names: Path,
    *,
    out: Path,
    model: Path | None = None,
    data: Path | None = None,
    gallery: Path | None = None,
    anchors: OldPhotos = None,
    anchor_factors: Path | None = None,
    labels: Path | None = None,
    steps: PositiveInt | None = None,
    anew: bool = False,
    allow_code: AllowCode = False,
) -> int:
    """Forget photos that a model was adapted to: write the model that never saw them, with a proof.

    The problem is solved again without them, by steps in which they have no part; without anchors and with few photos,
    exactly. OUT/forget.json has the proof. All inputs must be the same as when the model was adapted, including the
    photos to forget: forget first, delete the files afterwards. The new model is measured, and written or refused, as
    by `hetero adapt`. Exits with 1 when it is refused.

    It does not forget the data that the model was trained on before it was adapted, nor the gallery's vectors.

    Example: hetero forget models/v1-new customer.txt --out models/v1-without

    Args:
        directory: Folder that `hetero adapt` or an earlier `hetero forget` wrote; it stays as it is.
        names: File of the photos' names, one a line, as in learnt.json in the directory.
        out: Folder of the new model, which must not hold a model yet.
        model: The model before it was adapted, if it has moved since; likewise for the options that follow.
        data: Photos of the new domain.
        gallery: File of the gallery's embeddings.
        anchors: Photos of the old domain.
        anchor_factors: File of factors in place of the anchors.
        labels: CSV file with the gallery's classes.
        steps: Instead of solving anew: start from the model as it is and take at most so many steps, until what is
            left proves that the photos leave no trace; hundreds, and refused if they are too few.
        anew: Solve once more without the photos, from the beginning, and compare.
        allow_code: Allow a model to run its own code.
    """
    if allow_code:
        own_code.allow_code()
    learnt = Learnt.load(directory)
    to_forget = _names(names)
    learnt.require_some(to_forget)
    options = {"model": model, "data": data, "gallery": gallery, "labels": labels}
    options |= {"anchors": anchors, "anchor_factors": anchor_factors}
    places = Places.of(options, learnt.places)
    new, old, stored = read_inputs(places, out=out, part=learnt.config.part)

    from hetero.linear.deletion.forgetting import NOT_FORGOTTEN, forget

    with locked(out):
        proof, adaptation = forget(
            directory,
            to_forget,
            Path(places.model),
            new,
            old,
            stored,
            out,
            steps=steps,
            anew=anew,
            places=places,
            anchor_factors=places.factors,
        )
    print(summary(adaptation))
    counts = f"{len(proof.deleted)} photos forgotten, {proof.left} left"
    if proof.method == "anew":
        print(f"{counts}, solved anew from these alone: {proof.steps} steps to a residual of {proof.residual:.1%}")
    else:
        print(
            f"{counts}, by {proof.method}; from what it would be had they never been there, the change of weights "
            f"differs by at most {proof.weights:.1e}, outputs by at most {proof.outputs:.1e}"
        )
    if proof.compared:
        print(
            f"solved anew without them, the change of weights differs by {proof.compared.weights:.1e}, outputs by at "
            f"most {proof.compared.outputs:.1e}"
        )
    print(f"not forgotten: {NOT_FORGOTTEN}")
    refusals = [*([proof.refusal] if proof.refusal else []), *adaptation.refusals]
    print(outcome(refusals, adaptation.space, out), file=sys.stderr)
    return 1 if refusals else 0


def _names(file: Path) -> list[str]:
    if not file.is_file():
        raise InputError(f"expected a file of names, one a line, at {file}, found no file")
    # A name may hold any character but a line feed.
    lines = (line.removesuffix("\r") for line in decoded_text(file).split("\n"))
    return [line for line in lines if line]
