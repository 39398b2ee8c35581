"""All objectives by the names that recipes use, and the problems of a choice of them. Needs no torch.

An objective is declared where it is defined (:func:`hetero.objectives.declaration.objective`), and imported when it is
built.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import replace

from hetero.errors import InputError
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.declaration import CATALOG, Composite, Declaration, enter
from hetero.objectives.inputs import INPUTS
from hetero.objectives.written import written_objectives
from hetero.options import option_problems

COMPOSITES = {
    "backward_compatible": Composite(
        "BCT (arXiv 2003.11942): a new classifier and the old one",
        (ObjectiveConfig("own_head", init="random"), ObjectiveConfig("cloud_head")),
    ),
    "hvs_composite": Composite(
        "HVS (arXiv 2105.06047): own classifier that starts from the cloud's, and the cloud's",
        (ObjectiveConfig("own_head"), ObjectiveConfig("cloud_head")),
    ),
}
CATALOG.update(COMPOSITES)
for _name, _entry in written_objectives().items():
    enter(_name, _entry)


def entry_of(name: str) -> Declaration:
    """Look up a single objective.

    Raises:
        InputError: When there is no objective of this name.
    """
    entry = CATALOG.get(name)
    if isinstance(entry, Declaration):
        return entry
    if ":" in name:
        return _outside(name)
    close = difflib.get_close_matches(name, CATALOG, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise InputError(
        f"unknown objective {name!r}{hint}; expected one of {', '.join(CATALOG)}, pml:LOSS or module:function"
    )


def _outside(name: str) -> Declaration:
    """Return an objective from outside this package; its code, and torch with it, is imported to read its options."""
    if name.startswith("pml:"):
        from hetero.objectives.metric_learning import metric_learning_entry

        return metric_learning_entry(name)
    from hetero.objectives.own import own_entry

    return own_entry(name)


def expanded(terms: Iterable[ObjectiveConfig]) -> tuple[ObjectiveConfig, ...]:
    """Return the terms with composites replaced by their parts."""
    single: list[ObjectiveConfig] = []
    for term in terms:
        entry = CATALOG.get(term.name)
        if isinstance(entry, Composite) and not term.options:
            single += [replace(part, weight=part.weight * term.weight) for part in entry.parts]
        else:
            single.append(term)
    return tuple(single)


def compares_classes(terms: Iterable[ObjectiveConfig]) -> bool:
    """Return True if an objective compares images by class, so that a batch should hold several of a class.

    An objective from outside this package is imported, and asked what it needs.

    Raises:
        InputError: When there is no such objective, or its code is not allowed.
    """
    return any("labels" in entry_of(term.name).needs for term in expanded(terms))


def takes_mixtures(terms: Iterable[ObjectiveConfig]) -> bool:
    """Return True if a model's objectives need only the cloud's vector of an image, which a mixture of images has."""
    return all(_known_needs(term) <= {"cloud", "texts"} for term in expanded(terms))


def compares_texts(terms: Iterable[ObjectiveConfig]) -> bool:
    """Return True if an objective compares images with texts.

    Raises:
        InputError: As for :func:`compares_classes`.
    """
    return any("texts" in entry_of(term.name).needs for term in expanded(terms))


def _known_needs(term: ObjectiveConfig) -> frozenset[str]:
    entry = CATALOG.get(term.name)
    # Objectives from outside may compare by class.
    return entry.needs if isinstance(entry, Declaration) else frozenset({"labels"})


def problems_of(
    terms: Iterable[ObjectiveConfig], *, has_cloud: bool, has_texts: bool = False, has_previous: bool = False
) -> list[str]:
    """Return every problem of a model's objectives, one line each; none when they can be built.

    Args:
        terms: Terms of the objective.
        has_cloud: True if there is a cloud (or old) model.
        has_texts: True if there are vectors of texts.
        has_previous: True if there is a student to be replaced; a recipe cannot name one.
    """
    singles = expanded(terms)
    names = [term.name for term in singles]
    if not names:
        return ["expected at least one"]
    known = {"cloud": has_cloud, "texts": has_texts, "previous": has_previous}
    offered = {"labels", *names, *(name for name, given in known.items() if given)}
    problems = [f"{name} is given {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1]
    for term in singles:
        if not math.isfinite(term.weight) or term.weight < 0:
            problems.append(f"{term.name}.weight: expected a number of at least 0, got {term.weight}")
        problems += _problems_of_one(term, offered)
    return problems


def _problems_of_one(term: ObjectiveConfig, offered: set[str]) -> list[str]:
    composite = CATALOG.get(term.name)
    if isinstance(composite, Composite):
        parts = " and ".join(part.name for part in composite.parts)
        return [f"{term.name} has no options, got {', '.join(term.options)}; set them on {parts} instead of it"]
    try:
        entry = entry_of(term.name)
    except InputError as error:
        return [str(error)]
    return _missing_inputs(term.name, entry, offered) + option_problems(term.name, entry.options, term.options)


def _missing_inputs(name: str, entry: Declaration, offered: set[str]) -> list[str]:
    unknown = sorted(entry.needs - set(INPUTS))
    return [
        f"{name} {source.missing}"
        for key, source in INPUTS.items()
        if key in entry.needs and key not in offered and source.of_images is None
    ] + [f"{name} needs {key!r}, which is no input; expected {', '.join(INPUTS)}" for key in unknown]
