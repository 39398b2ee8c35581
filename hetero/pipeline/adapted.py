"""Students adapted to a new domain in a run, by linear quadratic fine-tuning."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hetero.data.embeddings.file import embeddings_of, load_embeddings, save_embeddings
from hetero.data.prepare import prepare
from hetero.files import read_json, write_text
from hetero.linear.command import outcome
from hetero.linear.measure import RECORD, Adaptation
from hetero.pipeline.context import Context
from hetero.pipeline.recipe import Recipe
from hetero.training.config import StudentConfig

GALLERY, LABELS = "gallery.safetensors", "gallery.csv"
LIST = "adapted.json"
"""File of an evaluation: names of the adapted models, the refused ones included."""


def adapt_student(context: Context, work: Path, student: StudentConfig) -> None:
    """Adapt a trained student; a refusal leaves its figures, and no model."""
    from hetero.linear.adaptation import adapt
    from hetero.linear.gallery import OldGallery
    from hetero.linear.learnt import Places

    domain, recipe, name = student.adapt, context.recipe, student.adapted.name
    assert domain is not None
    # Left by a killed run, it would pass for a finished model.
    (work / "config.json").unlink(missing_ok=True)
    if domain.gallery:
        gallery, labels = Path(domain.gallery), Path(domain.labels) if domain.labels else None
        stored = OldGallery.load(gallery, labels)
    else:
        _write_gallery(context, work)
        stored = OldGallery.load(work / GALLERY, work / LABELS)
        gallery, labels = (context.student(name) / file for file in (GALLERY, LABELS))
    adapt(
        context.student(student.name),
        prepare(domain.data, recipe.preprocessing),
        prepare(domain.anchors, recipe.preprocessing) if domain.anchors else context.dataset,
        stored,
        work,
        domain.settings,
        Places(
            model=str(context.student(student.name).resolve()),
            data=domain.data.anchored(Path()),
            gallery=str(gallery.resolve()),
            anchors=(domain.anchors or recipe.data).anchored(Path()),
            labels=labels and str(labels.resolve()),
        ),
        name=name,
    )


def _write_gallery(context: Context, work: Path) -> None:
    """Write the cloud's embeddings of the run's labelled images, without their changed copies, and their classes.

    They stay beside the model, because they explain how it was adapted and what it may forget.
    """
    from hetero.training.reference.cloud_reference import cloud_embeddings

    stored = load_embeddings(cloud_embeddings(context.cloud))
    embedded, groups = set(stored.names), dict[str, str]()
    for images in (context.dataset.train, context.dataset.validation, context.dataset.test):
        for row in np.flatnonzero(images.labelled).tolist():
            if images.names[row] in embedded:
                groups[images.names[row]] = images.classes[int(images.labels[row])]
    save_embeddings(work / GALLERY, embeddings_of(stored, list(groups)), list(groups), stored.space)
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("name", "label"), *groups.items()])
    write_text(work / LABELS, table.getvalue())


def adaptations(root: Path, names: Sequence[str] | None = None) -> dict[str, Adaptation]:
    """Return the figures of a run's adaptations, refused or not, by name of the adapted model.

    Args:
        root: The run's directory.
        names: Names of the adapted models; None for those of the run's evaluation.
    """
    if names is None:
        listed = root / "evaluation" / LIST
        names = read_json(listed) if listed.is_file() else []
    return {name: Adaptation.load(root / "students" / name / RECORD) for name in names or ()}


def adapted_names(recipe: Recipe) -> list[str]:
    """Return the names of the adapted students."""
    return [student.adapted.name for student in recipe.students if student.adapt]


def told_refusals(context: Context) -> bool:
    """Report on standard error the refused adaptations of a run, with the reasons; True if there are any."""
    figures = adaptations(context.root, adapted_names(context.recipe))
    refused = {name: adaptation for name, adaptation in figures.items() if adaptation.refusals}
    for name, adaptation in refused.items():
        print(f"{name}: {outcome(adaptation.refusals, adaptation.space, context.student(name))}", file=sys.stderr)
    return bool(refused)
