"""A cloud model given as Python code, by import string."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from hetero.errors import InputError
from hetero.models.external.embedders import ModuleEmbedder
from hetero.own_code import imported
from hetero.preprocessing import Preprocessing


def own_module(path: str, *, what: str) -> nn.Module | ModuleEmbedder:
    """Import a network that a user's file or command names.

    Args:
        path: ``module:attribute``: an ``nn.Module``, a :class:`hetero.models.external.embedders.ModuleEmbedder`, or a
            function without arguments that returns one.
        what: Kind of the network in messages.

    Raises:
        InputError: When code is not allowed, or there is no such network.
    """
    made = imported(path, what=what)
    if callable(made) and not isinstance(made, nn.Module | type):
        made = _called(made)
    if isinstance(made, nn.Module | ModuleEmbedder):
        return made
    actual = f"the class {made.__name__}" if isinstance(made, type) else f"an object of type {type(made).__name__}"
    raise InputError(
        f"the {what} {path!r} must be an nn.Module with its weights, a hetero.ModuleEmbedder, or a function without "
        f"arguments that returns one; got {actual}"
    )


@functools.lru_cache(maxsize=1)
def _called(function: Callable[[], Any]) -> Any:
    """Return what a function made; a run asks several times, and weights may take long to load."""
    return function()


def own_embedder(
    path: str, stated: Preprocessing | None, otherwise: Preprocessing, *, name: str, version: str
) -> ModuleEmbedder:
    """Import a cloud model.

    Args:
        path: See :func:`own_module`.
        stated: Preparation of its images, which must be the embedder's own where it is one; None if it is not stated.
        otherwise: Preparation of a plain module's images where none is stated.
        name: Name of a plain module's space, for people.
        version: Version of that space, for people.

    Raises:
        InputError: When code is not allowed, there is no such network, or it does not take such images.
    """
    made = own_module(path, what="cloud model")
    if not isinstance(made, ModuleEmbedder):
        return ModuleEmbedder(made, stated or otherwise, name=name, version=version)
    if stated not in (None, made.preprocessing):
        raise InputError(f"{path} is an embedder that says itself how its images are prepared; leave preprocessing out")
    return made
