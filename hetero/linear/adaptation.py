"""Adapt a model to a new domain inside its old space; the outcome is an ordinary model directory, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hetero.data.images import Dataset
from hetero.linear.anchoring import read_anchor_factors
from hetero.linear.config import AdaptConfig
from hetero.linear.fit import fit
from hetero.linear.gallery import OldGallery
from hetero.linear.learnt import Learnt, Places
from hetero.linear.measure import Adaptation
from hetero.linear.outcome import added, tests_of, write
from hetero.linear.suited import suited


def adapt(
    model: Path,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    directory: Path,
    config: AdaptConfig = AdaptConfig(),  # noqa: B008 - frozen
    places: Places | None = None,
    *,
    name: str = "",
    anchor_factors: Path | None = None,
) -> Adaptation:
    """Fit a model to a new domain so that its queries can still search the old gallery, and measure that they do.

    The model is taken as linear around its weights, and the change of the weights solves a convex problem: new images
    move to the gallery's vectors of the same item (or to the middle of their class), old images stay where they are.
    The change is then added to the weights. Gain and loss are measured on test images; the adapted model is written,
    in the same space, only if new queries are shown to find more and old queries to lose little.

    Args:
        model: A model directory, of a cloud model or a student.
        new: The new domain. The model learns from its training images, validation chooses the ridge, and test images
            give the figures.
        old: The old domain. Training images are the anchors; validation and test as for ``new``.
        gallery: A gallery of the model's space. It stays as it is.
        directory: The adapted model's directory; ``adapt.json`` in it has the figures and ``learnt.json`` the digests
            of the training data. After a refusal they are its only files.
        config: Settings of the solver, and limits on the loss.
        places: Paths of all inputs, so that ``hetero forget`` can find them again.
        name: The adapted model's name; empty keeps that of the model.
        anchor_factors: File of factors in place of the anchors, where the old photos are gone, see
            :func:`hetero.linear.anchoring.write_anchor_factors`; None for none. Of ``old``, training images then choose
            the ridge, and nothing is learnt from them.

    Returns:
        The figures; the model was written if there are no ``refusals``.

    Raises:
        InputError: When the model was fine-tuned for int8, images have no target, or there is nothing to measure.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    parts = suited(model, gallery, directory, config.part)
    new, old = (data.prepared_by(parts.model.preprocessing) for data in (new, old))
    tests = tests_of(new, old, gallery)
    held = read_anchor_factors(anchor_factors, parts)
    # Old photos that hold nothing may choose, and few are left.
    solved = fit(parts, new, old if held is None else replace(old, validation=old.train), gallery, config, held)
    parts.model.name = name or parts.model.name
    adaptation = added(parts, solved, tests, config)
    settings = replace(config, ridges=(solved.ridge,))
    learnt = Learnt.of(model, new.train, old.train, gallery, settings, places, anchor_factors)
    write(directory, model, parts.model, adaptation, learnt)
    return adaptation
