"""Obstacles to adapting a student to a new domain, which would otherwise show long after its training has begun."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hetero.data.config import DataConfig
from hetero.data.embeddings.name_search import rows_among
from hetero.data.embeddings.names import missing_names
from hetero.data.prepare import split_rows
from hetero.data.sources.rows import LEFT_OUT, Rows
from hetero.data.sources.split_names import JUDGED
from hetero.linear.config import NewDomain
from hetero.mistakes import attempt
from hetero.pipeline.draft import Draft


def domain_problems(place: str, domain: NewDomain, draft: Draft) -> list[str]:
    """Return the problems of the files and photos that a new domain names; no photo is opened.

    Args:
        place: Place of the domain's table in the recipe.
        domain: The table's settings.
        draft: The recipe, for its own photos.
    """
    problems = [
        f"{place}.{key}: expected a file at {path}, found none"
        for key, path in domain.files.items()
        if not Path(path).is_file()
    ]
    photos = {
        key: attempt(problems, f"{place}.{key}", lambda data=data: _rows(data)) for key, data in domain.photos.items()
    }
    if draft.knows_data and not domain.gallery:
        # Photos of the run that cannot be found are reported with its data.
        photos["gallery"] = attempt([], "data", lambda: _rows(draft.recipe.data))
    new, gallery = photos["data"], photos.get("gallery")
    if new is not None and gallery is not None:
        problems += [f"{place}.data: {line}" for line in _without_target(new, gallery)]
    return problems


def _rows(config: DataConfig) -> Rows | None:
    """Return labels and names of the data; None for emoji, which are drawn."""
    return None if config.kind == "emoji" else split_rows(config)


def _without_target(new: Rows, gallery: Rows) -> list[str]:
    """Report photos of a new domain that have no place in the run's own gallery, or no match to find there."""
    labelled = np.flatnonzero((gallery.splits != LEFT_OUT) & (gallery.labels >= 0))
    present = {gallery.classes[label] for label in np.unique(gallery.labels[labelled]).tolist()}
    has_class = np.array([name in present for name in new.classes] + [False])[new.labels]
    problems = [
        f"no {split} photo is of a class of the run's own images, so none has anything to find"
        for split in JUDGED
        if not has_class[new.of(split)].any()
    ]
    train = new.of("train")
    without = train[new.labels[train] < 0]
    is_there = rows_among(gallery.names_of(labelled), new.names_of(without)) >= 0
    missing = new.names_of(np.setdiff1d(train[~has_class[train]], without[is_there]))
    if len(missing):
        problems.append(
            f"{len(missing)} photos are of no class of the run's own images, so nothing says where they should lie: "
            + ", ".join(missing_names(missing, {}))
        )
    return problems
