"""All objectives by the names that recipes use. Needs no torch: an objective is imported when it is built.

To add one, write its file and its entry here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hetero.errors import InputError
from hetero.objectives.config import ObjectiveConfig
from hetero.options import Option, choice, count, not_negative, option_problems, positive


@dataclass(frozen=True)
class Entry:
    """An objective.

    Attributes:
        home: ``module:name`` of what makes it, called with the options by name; returns an ``nn.Module``.
        summary: One line, with the paper.
        options: By name.
        needs_cloud: Whether it compares with a cloud (or old) model.
        needs_labels: Whether it learns from the classes of the training images.
        needs_own_head: Whether it uses the model's own classifier.
        needs_previous: Whether it compares with the student that is replaced.
        takes_head: Whether ``home`` takes a :class:`hetero.objectives.head.Head`, too.
        fixed: Further arguments of ``home``.
    """

    home: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    needs_cloud: bool = False
    needs_labels: bool = False
    needs_own_head: bool = False
    needs_previous: bool = False
    takes_head: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Composite:
    """A name for several objectives, added with equal weight.

    Attributes:
        summary: One line, with the paper.
        parts: The objectives.
    """

    summary: str
    parts: tuple[ObjectiveConfig, ...]


_TEMPERATURE = positive(0.1, "divides the cosines")
_CENTRED = Option(False, "compare directions from the mean of the cloud's vectors")
_ALPHA = not_negative(1.0, "weight of every image")
_BETA = not_negative(5.0, "further weight where the old model is right")
_NEIGHBOURS = count(96, "neighbours of each image in the cloud's eyes; more than its class has", least=2)

CATALOG: Mapping[str, Entry | Composite] = {
    "own_head": Entry(
        "hetero.objectives.registry:own_head",
        "margin softmax of the model's own: ArcFace (arXiv 1801.07698), CosFace (1801.09414)",
        {
            "init": choice(
                "cloud", "where prototypes start: the cloud's if there is one, or random directions", "random"
            )
        },
        needs_labels=True,
        takes_head=True,
    ),
    "cloud_head": Entry(
        "hetero.objectives.registry:cloud_head",
        "influence loss: the cloud's frozen classifier judges the vectors (BCT, arXiv 2003.11942)",
        {"variant": choice("head", "margin: the own head's, or another", "arcface", "cosface", "none", "unnormalised")},
        needs_cloud=True,
        needs_labels=True,
        takes_head=True,
    ),
    "backward_compatible": Composite(
        "BCT (arXiv 2003.11942): a new classifier and the old one",
        (ObjectiveConfig("own_head", init="random"), ObjectiveConfig("cloud_head")),
    ),
    "hvs_composite": Composite(
        "HVS (arXiv 2105.06047): own classifier that starts from the cloud's, and the cloud's",
        (ObjectiveConfig("own_head"), ObjectiveConfig("cloud_head")),
    ),
    "supervised_contrastive": Entry(
        "hetero.objectives.contrastive:SupervisedContrastive",
        "classes pulled together within the model (arXiv 2004.11362)",
        {"temperature": _TEMPERATURE},
        needs_labels=True,
    ),
    "cloud_contrastive": Entry(
        "hetero.objectives.contrastive:CloudContrastive",
        "the image among the cloud's vectors, positives by class (AML, arXiv 2006.16331)",
        {"temperature": _TEMPERATURE},
        needs_cloud=True,
        needs_labels=True,
    ),
    "instance_contrastive": Entry(
        "hetero.objectives.instance_contrastive:InstanceContrastive",
        "an image's own cloud vector among the cloud's other classes (as in CRD, arXiv 1910.10699)",
        {
            "temperature": positive(0.05, "divides the cosines"),
            "centred": _CENTRED,
            "relative": Option(False, "the temperature is a share of the space's spread"),
        },
        needs_cloud=True,
    ),
    "cloud_regression": Entry(
        "hetero.objectives.regression:CloudRegression",
        "the vector equals the cloud's (AML, arXiv 2006.16331)",
        {"centred": _CENTRED},
        needs_cloud=True,
    ),
    "asymmetric_triplet": Entry(
        "hetero.objectives.asymmetric_triplet:AsymmetricTriplet",
        "nearer to the cloud's vectors of its class than of others (AML, arXiv 2006.16331)",
        {
            "margin": not_negative(0.1, "in squared distance"),
            "mining": choice("semi-hard", "how the negative is chosen", "hard"),
        },
        needs_cloud=True,
        needs_labels=True,
    ),
    "csd": Entry(
        "hetero.objectives.csd:ContextualSimilarity",
        "similarities to the neighbours distributed as the cloud's (CSD, CVPR 2022)",
        {
            "neighbours": _NEIGHBOURS,
            "temperature": _TEMPERATURE,
            "cloud_temperature": not_negative(0.0, "divides the cloud's cosines; 0 takes temperature"),
        },
        needs_cloud=True,
    ),
    "raml": Entry(
        "hetero.objectives.raml:Raml",
        "vectors and pairwise similarities as the cloud's (RAML, arXiv 2210.05463)",
        {
            "mixed": not_negative(0.7482, "weight of student-to-cloud similarities"),
            "within": not_negative(0.6778, "weight of student-to-student similarities"),
        },
        needs_cloud=True,
    ),
    "rank_preserving": Entry(
        "hetero.objectives.rank_preserving:RankPreserving",
        "neighbours in the cloud's order (ROP, ICLR 2023)",
        {
            "neighbours": _NEIGHBOURS,
            "temperature": positive(0.1, "of the sigmoid that stands for a step"),
            "sharpness": not_negative(0.2, "how much more near neighbours weigh"),
        },
        needs_cloud=True,
    ),
    "d3still": Entry(
        "hetero.objectives.d3still:D3still",
        "differences of similarities as the cloud's, wrong order weighted apart (D3still, CVPR 2024)",
        {
            "neighbours": count(9, "neighbours of each image in the cloud's eyes", least=2),
            "feature": not_negative(50.0, "weight of the vectors themselves (alpha)"),
            "inconsistent": not_negative(2.0, "weight of pairs in the wrong order (beta)"),
            "consistent": not_negative(1.0, "weight of pairs in the right order (gamma)"),
        },
        needs_cloud=True,
    ),
    "focal_logit_matching": Entry(
        "hetero.objectives.focal_distillation:FocalLogitMatching",
        "the old model's logits, most where it was right (PCT FD-LM, arXiv 2011.09161)",
        {"alpha": _ALPHA, "beta": _BETA},
        needs_cloud=True,
        needs_labels=True,
        needs_own_head=True,
    ),
    "focal_kl": Entry(
        "hetero.objectives.focal_distillation:FocalDivergence",
        "the old model's softened answers, most where it was right (PCT FD-KL, arXiv 2011.09161)",
        {"alpha": _ALPHA, "beta": _BETA, "temperature": positive(100.0, "softens both models' answers")},
        needs_cloud=True,
        needs_labels=True,
        needs_own_head=True,
    ),
    "focal_retrieval": Entry(
        "hetero.objectives.focal_retrieval:FocalRetrieval",
        "near the old model, most where its first hit was right (retrieval form of PCT)",
        {"alpha": _ALPHA, "beta": _BETA, "distance": choice("cosine", "what is held", "similarities")},
        needs_cloud=True,
        needs_labels=True,
    ),
    "focal_update": Entry(
        "hetero.objectives.focal_update:FocalUpdate",
        "near the student that this one replaces, most where its first hit was right (retrieval form of PCT)",
        {"alpha": _ALPHA, "beta": _BETA},
        needs_cloud=True,
        needs_labels=True,
        needs_previous=True,
    ),
    "elodi": Entry(
        "hetero.objectives.elodi:Elodi",
        "an ensemble's highest logits (ELODI, arXiv 2205.06265)",
        {
            "classes": count(10, "classes with the highest logits that count"),
            "margin": not_negative(0.0, "differences up to it cost nothing"),
            "power": Option(2.0, "of what exceeds the margin", least=1.0),
        },
        needs_cloud=True,
        needs_labels=True,
        needs_own_head=True,
    ),
}


def entry_of(name: str) -> Entry:
    """Look up a single objective.

    Raises:
        InputError: When there is none of this name.
    """
    found = CATALOG.get(name)
    if isinstance(found, Entry):
        return found
    if ":" in name:
        return _outside(name)
    close = difflib.get_close_matches(name, CATALOG, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise InputError(
        f"unknown objective {name!r}{hint}; expected one of {', '.join(CATALOG)}, pml:LOSS or module:function"
    )


def _outside(name: str) -> Entry:
    """An objective that is not of this package; its code, and torch with it, is imported to know its options."""
    if name.startswith("pml:"):
        from hetero.objectives.metric_learning import metric_learning_options

        home = "hetero.objectives.metric_learning:metric_learning_loss"
        options = metric_learning_options(name)
        return Entry(
            home, "of pytorch-metric-learning", options, needs_labels=True, takes_head=True, fixed={"loss": name}
        )
    from hetero.objectives.own import own_needs_labels, own_options

    labels = own_needs_labels(name)
    return Entry(
        "hetero.objectives.own:own", "of your own", own_options(name), needs_labels=labels, fixed={"path": name}
    )


def expanded(terms: Iterable[ObjectiveConfig]) -> tuple[ObjectiveConfig, ...]:
    """The same with composites replaced by their parts."""
    single: list[ObjectiveConfig] = []
    for term in terms:
        found = CATALOG.get(term.name)
        if isinstance(found, Composite) and not term.options:
            single += [replace(part, weight=part.weight * term.weight) for part in found.parts]
        else:
            single.append(term)
    return tuple(single)


def compares_classes(terms: Iterable[ObjectiveConfig]) -> bool:
    """True if one of a model's objectives compares images by class, so that a batch should hold several of a class."""
    return any(_needs_labels(term) for term in expanded(terms))


def _needs_labels(term: ObjectiveConfig) -> bool:
    found = CATALOG.get(term.name)
    # What comes from outside may compare by class.
    return found.needs_labels if isinstance(found, Entry) else True


def problems_of(terms: Iterable[ObjectiveConfig], *, has_cloud: bool, has_previous: bool = False) -> list[str]:
    """Everything that is wrong with a model's objectives, one line each; nothing when they can be built.

    Args:
        terms: Of the objective.
        has_cloud: Whether there is a cloud (or old) model.
        has_previous: Whether there is a student to be replaced; a recipe knows of none.
    """
    singles = expanded(terms)
    names = [term.name for term in singles]
    if not names:
        return ["expected at least one"]
    problems = [f"{name} is given {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1]
    for term in singles:
        if not math.isfinite(term.weight) or term.weight < 0:
            problems.append(f"{term.name}.weight: expected a number of at least 0, got {term.weight}")
        problems += _problems_of_one(term, names, has_cloud, has_previous)
    return problems


def _problems_of_one(term: ObjectiveConfig, names: list[str], has_cloud: bool, has_previous: bool) -> list[str]:
    found = CATALOG.get(term.name)
    if isinstance(found, Composite):
        parts = " and ".join(part.name for part in found.parts)
        return [f"{term.name} has no options, got {', '.join(term.options)}; set them on {parts} instead of it"]
    try:
        entry = entry_of(term.name)
    except InputError as error:
        return [str(error)]
    problems: list[str] = []
    if entry.needs_cloud and not has_cloud:
        problems.append(f"{term.name} needs a cloud model")
    if entry.needs_previous and not has_previous:
        problems.append(
            f"{term.name} needs the student that is replaced, which no recipe can name: call hetero.train_student with "
            "previous"
        )
    if entry.needs_own_head and "own_head" not in names:
        problems.append(f"{term.name} compares classifiers: put own_head beside it")
    return problems + option_problems(term.name, entry.options, term.options)
