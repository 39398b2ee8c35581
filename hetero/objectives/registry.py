"""Build objectives from a recipe's terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import nn

from hetero.errors import InputError
from hetero.objectives.backward_compatible import InfluenceLoss, Variant, truncated_or_padded
from hetero.objectives.catalog import entry_of, expanded, problems_of
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.objectives.margin_softmax import MarginSoftmax, random_prototypes


def build_objectives(terms: Sequence[ObjectiveConfig], head: Head) -> list[tuple[ObjectiveConfig, nn.Module]]:
    """Make the objectives of one model; composites come as their parts.

    Raises:
        InputError: With everything that is wrong with the terms, at once.
    """
    # Whether there is a student to be replaced shows with the first batch; recipes are checked for it.
    if problems := problems_of(terms, has_cloud=head.cloud_prototypes is not None, has_previous=True):
        raise InputError("these objectives cannot be built:", problems)
    return [(term, build_objective(term, head)) for term in expanded(terms)]


def build_objective(term: ObjectiveConfig, head: Head) -> nn.Module:
    """Make one objective.

    Raises:
        InputError: When the name is unknown.
    """
    entry = entry_of(term.name)
    module, _, name = entry.home.partition(":")
    make: Callable[..., nn.Module] = getattr(import_module(module), name)
    arguments: dict[str, Any] = {key: entry.options[key].converted(value) for key, value in term.options.items()}
    return make(**arguments, **entry.fixed, **({"head": head} if entry.takes_head else {}))


def own_head(head: Head, init: str = "cloud") -> MarginSoftmax:
    """The model's own classifier.

    Args:
        head: Its size and margin.
        init: ``cloud`` starts from the cloud's prototypes when there are any (heterogeneous visual search, arXiv
            2105.06047, section 3.2; truncated or padded to the model's dimension), ``random`` from random directions.
    """
    if init == "cloud" and head.from_cloud and head.cloud_prototypes is not None:
        prototypes = truncated_or_padded(head.cloud_prototypes, head.dimension)
    else:
        prototypes = random_prototypes(head.classes, head.dimension, torch.Generator().manual_seed(head.seed))
    return MarginSoftmax(prototypes, kind=head.kind, margin=head.margin, scale=head.scale)


def cloud_head(head: Head, variant: Variant = "head") -> InfluenceLoss:
    """The cloud's classifier, frozen.

    Args:
        head: Its margin, and the cloud's prototypes.
        variant: ``head`` takes the margin of the own head.
    """
    assert head.cloud_prototypes is not None
    chosen = head.kind if variant == "head" else variant
    return InfluenceLoss(head.cloud_prototypes, variant=chosen, margin=head.margin, scale=head.scale)
