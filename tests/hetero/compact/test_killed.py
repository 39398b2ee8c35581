"""``hetero gallery compact`` killed at each of its writes: the earlier copy or the new one, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hetero
from hetero.compact.compaction import compact
from hetero.compact.derived import DerivedSpace
from tests.crashes import kills
from tests.hetero.compact.spaces import PARENT, vectors

NAMES = [f"{row % 4}/{row}.png" for row in range(60)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    hetero.save_embeddings(tmp_path / "cloud.safetensors", vectors()[:60], NAMES, PARENT)
    return tmp_path


def compacted(source: str, out: str, dimensions: int) -> None:
    compact(source, Path(out), dimensions=dimensions, precision="int8", kind="pca")


def test_of_a_file(place: Path) -> None:
    def look(derived: DerivedSpace) -> None:
        file = hetero.load_embeddings(place / "small" / "embeddings.safetensors")
        assert file.space == derived.space and list(file.names) == NAMES
        np.testing.assert_allclose(file.embeddings, derived(vectors()[:60], PARENT), atol=0.02)

    survives(place, "cloud.safetensors", look)


def test_of_a_store(place: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    with hetero.open_gallery("usearch:old", PARENT) as store:
        store.add(vectors()[:40], NAMES[:40], PARENT, attributes=[{"row": str(row)} for row in range(40)])
        store.add(vectors()[40:60], NAMES[40:], PARENT, tenant="shop")

    def look(derived: DerivedSpace) -> None:
        query = derived(vectors()[[7, 47]], PARENT)
        with hetero.open_gallery("usearch:small/gallery", derived.space, read_only=True) as store:
            assert len(store) == 60
            assert store.search(query[:1], 1, derived.space, where={"row": "7"}).ids == [[NAMES[7]]]
            assert store.search(query[1:], 1, derived.space, tenant="shop").ids == [[NAMES[47]]]

    survives(place, "usearch:old", look)


def survives(place: Path, source: str, look: Callable[[DerivedSpace], None]) -> None:
    """Kill a compaction to eight dimensions where one to six stands, look, and run it again."""
    compacted(source, "earlier", 6)
    there = sorted(path.name for path in place.iterdir())

    def begin_anew() -> None:
        shutil.rmtree("small", ignore_errors=True)
        shutil.copytree("earlier", "small")

    def dimension() -> int:
        derived = DerivedSpace.load(place / "small")
        look(derived)
        return derived.space.dimension

    seen = list[int]()
    for _ in kills(place, lambda: compacted(source, "small", 8), before=begin_anew):
        seen.append(dimension())
        compacted(source, "small", 8)
        assert dimension() == 8
        assert sorted(path.name for path in place.iterdir()) == sorted([*there, "small"])
    assert {*seen} == {6, 8} and seen == sorted(seen)
