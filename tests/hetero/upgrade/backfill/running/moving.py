"""A made-up gallery on the point of moving to a new space, and sources of its new vectors that misbehave."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hetero.data.embeddings.file import save_embeddings
from hetero.gallery.opening import open_gallery
from hetero.space import EmbeddingSpace, MeasuredCompatibility
from hetero.upgrade.backfill.running.source import FileSource
from tests.hetero.upgrade.backfill.upgraded import CLASSES, DIMENSION, EACH, upgraded

OLD = EmbeddingSpace.define(defined_by="old", name="cloud", version="1", dimension=DIMENSION)
NEW = dataclasses.replace(
    EmbeddingSpace.define(defined_by="new", name="cloud", version="2", dimension=DIMENSION),
    compatible_with=(MeasuredCompatibility(OLD.space_id, "cmc@1", cross=0.5, earlier=0.4),),
)
ITEMS = [f"gallery/class {label:02}/{index}.png" for label in range(CLASSES) for index in range(EACH)]
QUERIES = [f"queries/class {row % CLASSES:02}/{row}.png" for row in range(200)]


def lay_out(folder: Path, address: str) -> None:
    """A gallery in the old space; new vectors of its items; queries of the new space and of the old one; an order."""
    made = upgraded()
    with open_gallery(address, OLD) as store:
        store.add(made.old, ITEMS, OLD)
    save_embeddings(folder / "new.safetensors", made.new, ITEMS, NEW)
    save_embeddings(folder / "queries.safetensors", made.query, QUERIES, NEW)
    # The old student is as good as the old gallery's sharper part.
    save_embeddings(folder / "before.safetensors", upgraded(queries=200).query, QUERIES, OLD)
    rows = "".join(f"{rank},{name},0\n" for rank, name in enumerate(reversed(ITEMS), 1))
    (folder / "order.csv").write_text(f"rank,name,urgency\n{rows}", encoding="utf-8")


def filled(address: str) -> int:
    """How many items have a new vector; 0 before the backfill has begun."""
    with open_gallery(address, read_only=True) as store:
        return store.count(NEW) if NEW.space_id in {one.space_id for one in store.spaces()} else 0


@dataclass(frozen=True)
class Slow(FileSource):
    """Takes a moment for each batch."""

    seconds: float = 0.01

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        return super().vectors(rows)


@dataclass(frozen=True)
class Deadly(FileSource):
    """Kills the process that asks for vectors, as often as there are files left in a folder."""

    lives: Path = Path()

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        for life in sorted(self.lives.iterdir()):
            life.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().vectors(rows)


@dataclass(frozen=True)
class Other(FileSource):
    """Sees another file in every process."""

    @property
    def identity(self) -> str:
        return str(os.getpid())
