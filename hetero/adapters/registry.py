"""Adapters by name. To add one, write its file and its entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.adapters.adapter import Adapter, require_pairs
from hetero.errors import InputError
from hetero.options import Option, OptionValue, count, not_negative, option_problems, positive


@dataclass(frozen=True)
class AdapterEntry:
    """A kind of adapter.

    Attributes:
        home: ``module:class`` of it.
        summary: One line.
        options: Of its ``fit``, by name.
    """

    home: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)


ADAPTERS: Mapping[str, AdapterEntry] = {
    "procrustes": AdapterEntry("hetero.adapters.procrustes:Procrustes", "a rotation"),
    "ridge": AdapterEntry(
        "hetero.adapters.ridge:Ridge", "an affine map", {"penalty": not_negative(1e-4, "on the matrix")}
    ),
    "mlp": AdapterEntry(
        "hetero.adapters.mlp:Mlp",
        "a network with one hidden layer",
        {
            "hidden": count(256, "width of the hidden layer"),
            "steps": count(1000, "optimiser steps"),
            "learning_rate": positive(2e-3, "peak"),
            "weight_decay": not_negative(1e-2, "AdamW's"),
            "seed": count(0, "fixes initial weights and batches", least=0),
        },
    ),
    "interpolation": AdapterEntry(
        "hetero.adapters.interpolation:Interpolation",
        "part of the way to the rotation",
        {"share": Option(0.5, "0 leaves the vector, 1 is the rotation", least=0.0, most=1.0)},
    ),
}


def fit_adapter(
    kind: str,
    source: Float32[NDArray[np.float32], "n s"],
    target: Float32[NDArray[np.float32], "m t"],
    **options: OptionValue,
) -> Adapter:
    """Fit a map from one space to another on vectors of the same images.

    Args:
        kind: A key of :data:`ADAPTERS`.
        source: float32 [n, s], vectors to be mapped, for instance a student's.
        target: float32 [n, t], unit vectors of the same images, for instance the cloud's.
        **options: As :data:`ADAPTERS` lists them.

    Raises:
        InputError: When the kind or an option is wrong, or the vectors are not pairs.
    """
    require_pairs(source, target)
    options_of = _entry(kind).options
    if problems := option_problems(kind, options_of, options):
        raise InputError(f"the adapter {kind} cannot be fitted:", problems)
    converted = {name: options_of[name].converted(value) for name, value in options.items()}
    return adapter_class(kind).fit(source, target, **converted)


def adapter_class(kind: str) -> Any:
    """The class of a kind of adapter; it has ``fit``, and is made of its arrays."""
    module, _, name = _entry(kind).home.partition(":")
    return getattr(import_module(module), name)


def kind_of(adapter: Adapter) -> str:
    """The name that an adapter goes by."""
    home = f"{type(adapter).__module__}:{type(adapter).__name__}"
    return next(kind for kind, entry in ADAPTERS.items() if entry.home == home)


def _entry(kind: str) -> AdapterEntry:
    if kind not in ADAPTERS:
        raise InputError(f"unknown adapter {kind!r}; expected one of {', '.join(ADAPTERS)}")
    return ADAPTERS[kind]
