"""Obstacles to adapting a student to a new domain, which would otherwise show long after its training has begun."""

from __future__ import annotations

from pathlib import Path

from hetero.data.config import DataConfig
from hetero.data.embeddings.names import missing_names
from hetero.data.prepare import find
from hetero.data.sources.listing import Listing
from hetero.data.splits import assign_splits
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
        key: attempt(problems, f"{place}.{key}", lambda data=data: _listed(data)) for key, data in domain.photos.items()
    }
    if draft.knows_data and not domain.gallery:
        # Photos of the run that cannot be found are reported with its data.
        photos["gallery"] = attempt([], "data", lambda: _listed(draft.recipe.data))
    new, gallery = photos["data"], photos.get("gallery")
    if new is not None and gallery is not None:
        problems += [f"{place}.data: {line}" for line in _without_target(new, gallery)]
    return problems


def _listed(config: DataConfig) -> Listing | None:
    """Return the listing of the data; None for emoji, which are drawn."""
    return None if config.kind == "emoji" else assign_splits(find(config), config)


def _without_target(new: Listing, gallery: Listing) -> list[str]:
    """Report photos of a new domain that have no place in the run's own gallery, or no match to find there."""
    groups = {entry.name: entry.label for entry in gallery.entries if entry.label}
    classes = set(groups.values())
    problems = [
        f"no {split} photo is of a class of the run's own images, so none has anything to find"
        for split in ("validation", "test")
        if classes.isdisjoint(entry.label for entry in new.of(split))
    ]
    missing = [
        entry.name
        for entry in new.of("train")
        if entry.label not in classes and not (entry.name in groups and not entry.label)
    ]
    if missing:
        problems.append(
            f"{len(missing)} photos are of no class of the run's own images, so nothing says where they should lie: "
            + ", ".join(missing_names(missing, {}))
        )
    return problems
