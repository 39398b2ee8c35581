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
"""In an evaluation: names of the adapted models, those that are refused among them."""


def adapt_student(context: Context, work: Path, student: StudentConfig) -> None:
    """Adapt a trained student; a refusal leaves its figures, and no model."""
    from hetero.linear.adaptation import adapt
    from hetero.linear.gallery import OldGallery
    from hetero.linear.learnt import Places

    wanted, recipe, name = student.adapt, context.recipe, student.adapted.name
    assert wanted is not None
    # Of a killed run: it would look like somebody's model.
    (work / "config.json").unlink(missing_ok=True)
    if wanted.gallery:
        gallery, labels = Path(wanted.gallery), Path(wanted.labels) if wanted.labels else None
        stored = OldGallery.load(gallery, labels)
    else:
        _write_gallery(context, work)
        stored = OldGallery.load(work / GALLERY, work / LABELS)
        gallery, labels = (context.student(name) / one for one in (GALLERY, LABELS))
    adapt(
        context.student(student.name),
        prepare(wanted.data, recipe.preprocessing),
        prepare(wanted.anchors, recipe.preprocessing) if wanted.anchors else context.dataset,
        stored,
        work,
        wanted.settings,
        Places(
            model=str(context.student(student.name).resolve()),
            data=wanted.data.anchored(Path()),
            gallery=str(gallery.resolve()),
            anchors=(wanted.anchors or recipe.data).anchored(Path()),
            labels=labels and str(labels.resolve()),
        ),
        name=name,
    )


def _write_gallery(context: Context, work: Path) -> None:
    """What the cloud answered for the run's images that have a label, without their changed copies; and their classes.

    Kept beside the model: what it was adapted by is what explains it, and what it forgets by.
    """
    from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS

    stored = load_embeddings(context.cloud / CLOUD_EMBEDDINGS)
    known, groups = set(stored.names), dict[str, str]()
    for images in (context.dataset.train, context.dataset.validation, context.dataset.test):
        for row in np.flatnonzero(images.labelled).tolist():
            if images.names[row] in known:
                groups[images.names[row]] = images.classes[int(images.labels[row])]
    save_embeddings(work / GALLERY, embeddings_of(stored, list(groups)), list(groups), stored.space)
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("name", "label"), *groups.items()])
    write_text(work / LABELS, table.getvalue())


def adaptations(root: Path, names: Sequence[str] | None = None) -> dict[str, Adaptation]:
    """The figures of a run's adaptations, refused or not, by name of the adapted model.

    Args:
        root: The run's directory.
        names: Of the models; None for those that the run was evaluated with.
    """
    if names is None:
        listed = root / "evaluation" / LIST
        names = read_json(listed) if listed.is_file() else []
    return {name: Adaptation.load(root / "students" / name / RECORD) for name in names or ()}


def adapted_names(recipe: Recipe) -> list[str]:
    """Of what students are adapted to."""
    return [student.adapted.name for student in recipe.students if student.adapt]


def told_refusals(context: Context) -> bool:
    """Say on standard error which adaptations of a run are refused, and why; True if one is."""
    found = adaptations(context.root, adapted_names(context.recipe))
    refused = {name: one for name, one in found.items() if one.refusals}
    for name, one in refused.items():
        print(f"{name}: {outcome(one.refusals, one.space, context.student(name))}", file=sys.stderr)
    return bool(refused)
