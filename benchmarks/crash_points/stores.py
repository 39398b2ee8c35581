"""A gallery store that commands change or read: how it is laid out, and what of it has to be the same in two runs."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.crash_points.case import Place

DIMENSION, CLASSES, EACH, QUERIES = 8, 8, 8, 100
_TABLES = ("about", "spaces", "serving", "items", "attributes", "vectors", "deleted")


def write_store(given: Path) -> None:
    """Write a store ``gallery``, the new vectors of its items, and queries for the gate by an old and a new student."""
    from hetero import EmbeddingSpace, open_gallery, save_embeddings
    from hetero.gallery.embedded.index import SpaceIndex

    drawn = np.random.default_rng(0)
    rows = np.repeat(np.arange(CLASSES), EACH)
    items = [f"class {label}/{row}.png" for row, label in enumerate(rows)]
    asked = [f"class {row % CLASSES}/query {row}.png" for row in range(QUERIES)]
    for name in ("old", "new"):
        space = EmbeddingSpace.define(defined_by=name, name=name, version="1", dimension=DIMENSION)
        centres = drawn.normal(size=(CLASSES, DIMENSION))
        vectors = _near(drawn, centres[rows])
        save_embeddings(given / f"{name}.safetensors", vectors, items, space)
        queries = _near(drawn, centres[np.arange(QUERIES) % CLASSES])
        save_embeddings(given / f"{name}-queries.safetensors", queries, asked, space)
        if name == "old":
            address = f"usearch:{given / 'gallery'}"
            with open_gallery(address, space) as store:
                store.add(vectors, items, space)
            # As a killed process leaves it: the saved index lacks what it added.
            with mock.patch.object(SpaceIndex, "save"), open_gallery(address) as store:
                store.add(vectors[:9], items[:9], space)


def store_at_hand(place: Place) -> None:
    """Give a command a store of its own."""
    shutil.copytree(place.given / "gallery", place.out / "gallery")


def rows_of(path: Path) -> bytes:
    """The rows of a store: pages of a database lie in any order. Opened in this way, nothing is written beside it."""
    try:
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
            return repr([connection.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES]).encode()
    except sqlite3.Error as error:
        return str(error).encode()


def _near(drawn: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    vectors = centres + 0.2 * drawn.normal(size=centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
