"""Adapters by name. To add one, write its file and its entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32

from hetero.adapters.adapter import Adapter, require_pairs
from hetero.errors import InputError
from hetero.named import named
from hetero.options import Option, OptionValue, declared_options, option_problems


@dataclass(frozen=True)
class AdapterEntry:
    """A kind of adapter.

    Attributes:
        home: ``module:class`` of the adapter.
    """

    home: str

    @cached_property
    def adapter_type(self) -> Any:
        """The class, which has ``fit`` and a constructor that takes its arrays."""
        return named(self.home)

    @cached_property
    def options(self) -> Mapping[str, Option]:
        """The options of its ``fit``, by name."""
        return declared_options(self.adapter_type.fit, given=("source", "target"))


ADAPTERS: Mapping[str, AdapterEntry] = {
    "procrustes": AdapterEntry("hetero.adapters.procrustes:Procrustes"),
    "ridge": AdapterEntry("hetero.adapters.ridge:Ridge"),
    "mlp": AdapterEntry("hetero.adapters.mlp:Mlp"),
    "interpolation": AdapterEntry("hetero.adapters.interpolation:Interpolation"),
}


def fit_adapter(
    kind: str,
    source: Float32[np.ndarray, "n s"],
    target: Float32[np.ndarray, "m t"],
    **options: OptionValue,
) -> Adapter:
    """Fit a map from one space to another on vectors of the same images.

    Args:
        kind: A key of :data:`ADAPTERS`.
        source: float32 [n, s], vectors to be mapped, for instance a student's.
        target: float32 [n, t], unit vectors of the same images, for instance the cloud's.
        **options: Options of the adapter, see :data:`ADAPTERS`.

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
    """Return the class of a kind of adapter, which has ``fit`` and a constructor that takes its arrays."""
    return _entry(kind).adapter_type


def kind_of(adapter: Adapter) -> str:
    """Return the name of an adapter's kind."""
    home = f"{type(adapter).__module__}:{type(adapter).__name__}"
    return next(kind for kind, entry in ADAPTERS.items() if entry.home == home)


def _entry(kind: str) -> AdapterEntry:
    if kind not in ADAPTERS:
        raise InputError(f"unknown adapter {kind!r}; expected one of {', '.join(ADAPTERS)}")
    return ADAPTERS[kind]
