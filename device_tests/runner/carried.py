"""Search the gallery that a bundle carries, as an application on this device would."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import COPIES, NOT_VERIFIED

_MULTIPLICATIONS = 2e10
"""Most of them for the exact search: on an emulated phone they take minutes."""


def search_apart(gallery: dict[str, Any], embeddings: Any) -> tuple[dict[str, Any], str, bool]:
    """Search in a process of its own, where the system has copies of processes: a damaged graph may end it.

    Args:
        gallery: The file of the ``graph``, its ``items`` and ``connectivity``, the ``effort`` of a search, the number
            ``depth`` of items to find, the row of the ``first`` embedding to search with, and the path ``scratch``, to
            which the names of files in between are added.
        embeddings: float32 [n, d], by the model on this device.

    Returns:
        ``near`` and ``exact``, uint64 [q, depth], keys of items; fewer queries where the exact search would take long.
        Then the reason why there are none, and True if it is not the gallery's.
    """
    queries, scratch = embeddings[gallery["first"] :], gallery["scratch"]
    if not COPIES:
        status, error = _saved(gallery, queries, scratch)
    else:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status, error = _saved(gallery, queries, scratch)
                with open(f"{scratch}.txt", "w", encoding="utf-8") as stream:  # noqa: PTH123 - as in job.py
                    stream.write(error)
            finally:
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        if os.WIFSIGNALED(ended):
            return {}, f"searching the gallery crashed with signal {os.WTERMSIG(ended)}", False
        status, error = os.WEXITSTATUS(ended), ""
        if os.path.exists(f"{scratch}.txt"):  # noqa: PTH110
            with open(f"{scratch}.txt", encoding="utf-8") as stream:  # noqa: PTH123
                error = stream.read()
    if status:
        return {}, error or f"searching the gallery ended with status {status}", status == NOT_VERIFIED
    with np.load(f"{scratch}.npz", allow_pickle=False) as keys:
        return {name: keys[name] for name in keys.files}, "", False


def _saved(gallery: dict[str, Any], queries: Any, scratch: str) -> tuple[int, str]:
    """Search and save the keys; returns a status, and why there are none."""
    try:
        from usearch.index import Index
    except ImportError as error:
        return NOT_VERIFIED, f"this target cannot search it: {error}"
    try:
        np.savez(f"{scratch}.npz", **_keys(Index, gallery, queries))
    except Exception as error:
        return 1, f"{type(error).__name__}: {error}"
    return 0, ""


def _keys(index_class: Any, gallery: dict[str, Any], queries: Any) -> dict[str, Any]:
    dimension, items = queries.shape[1], gallery["items"]
    about = index_class.metadata(gallery["graph"])
    held = (about["count_present"], about["dimensions"], about["kind_metric"].name, about["kind_scalar"].name)
    if held != (items, dimension, "IP", "F16"):
        raise ValueError(f"expected {items} float16 vectors of {dimension} dimensions by inner product, got {held}")
    index = index_class(
        ndim=dimension, metric="ip", dtype="f16", connectivity=gallery["connectivity"], enable_key_lookups=False
    )
    index.view(gallery["graph"])
    lengths = np.linalg.norm(queries, axis=1, keepdims=True)
    queries = (queries / np.where(lengths, lengths, 1))[: max(1, int(_MULTIPLICATIONS / items / dimension))]
    index.expansion_search = gallery["effort"]
    return {
        name: index.search(queries, gallery["depth"], exact=name == "exact", threads=1).keys.reshape(len(queries), -1)
        for name in ("near", "exact")
    }
