"""Adapt a model to a new domain inside its old space; the outcome is an ordinary model directory, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.linear.config import AdaptConfig, Part
from hetero.linear.fit import fit
from hetero.linear.gallery import OldGallery
from hetero.linear.learnt import Learnt, Places
from hetero.linear.measure import Adaptation
from hetero.linear.outcome import added, metrics_of, tests_of, write
from hetero.linear.parts import Divided, divided
from hetero.models.directory import load_model


def adapt(
    model: Path,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    directory: Path,
    config: AdaptConfig = AdaptConfig(),  # noqa: B008 - frozen
    places: Places | None = None,
) -> Adaptation:
    """Fit a model to a new domain so that its queries go on searching the old gallery, and measure that they do.

    The model is taken as linear around its weights, and the change of the weights solves a convex problem: new images
    move to the gallery's vectors of the same item (or to the middle of their class), old images stay where they are.
    The change is then added to the weights. What it costs is measured on test images; the adapted model is written,
    in the same space, only if new queries are shown to find more and old queries to lose little.

    Args:
        model: A model directory, of a cloud model or a student.
        new: The new domain. Training images are learnt from, validation chooses the ridge, test gives the figures.
        old: The old domain. Training images are the anchors; validation and test as for ``new``.
        gallery: Of the model's space. It stays as it is.
        directory: The adapted model's; ``adapt.json`` in it has the figures and ``learnt.json`` what was learnt from,
            which are all of it after a refusal.
        config: How, and what must be kept.
        places: Where everything lies, for ``hetero forget`` to find it again.

    Returns:
        The figures; the model was written if there are no ``refusals``.

    Raises:
        InputError: When the model was fine-tuned for int8, images have no target, or there is nothing to measure.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    parts = suited(model, gallery, directory, config.part)
    new, old = (data.prepared_by(parts.model.preprocessing) for data in (new, old))
    tests = tests_of(new, old, gallery)
    found = fit(parts, new, old, gallery, config)
    measured = added(parts, found, tests, config, images=len(new.train), anchors=len(old.train))
    chosen = replace(config, ridges=(found.ridge,))
    write(directory, model, parts.model, measured, Learnt.of(model, new.train, old.train, gallery, chosen, places))
    return measured


def suited(directory: Path, gallery: OldGallery, out: Path | None, part: Part) -> Divided:
    """Load a model and divide it, if it can be adapted for this gallery and there is a place to write it to.

    Args:
        directory: Of the model.
        gallery: Of its space.
        out: Where the adapted model will go; None for nowhere.
        part: What may change.

    Raises:
        InputError: When the model was fine-tuned for int8 or has no such part, or ``out`` holds a model.
        SpaceMismatchError: When the gallery is of another space.
    """
    if out is not None and (out / "config.json").exists():
        raise InputError(f"{out} holds a model already; give another folder for the adapted one")
    model = load_model(directory)
    if metrics_of(directory).get("tuned_for") == "int8":
        raise InputError(
            f"{directory} was fine-tuned for int8: its weights stand where rounding wants them, and a change of them "
            "undoes that; adapt the model that it was tuned from, then tune the adapted one"
        )
    assert model.space is not None
    model.space.require_same(gallery.space, this=f"the model {model.name}", that="the gallery")
    return divided(model, part)
