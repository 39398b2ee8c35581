from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.checked import CheckedStore
from hetero.gallery.commands import tune_command
from hetero.gallery.opening import open_gallery
from hetero.gallery.store import Effort, Matches
from hetero.gallery.tuning import tune
from hetero.space import EmbeddingSpace
from tests.hetero.gallery.places import V1, V2, names, vectors


class Forgetful(CheckedStore):
    """Finds the same items for every query, but from an effort below 32 not the first one for the first query."""

    space = V1  # pyright: ignore[reportAssignmentType]

    def __init__(self) -> None:
        pass

    def search(self, query: np.ndarray, k: int, space: EmbeddingSpace, *, effort: Effort, **rest: Any) -> Matches:
        ids = [["a", "b", "c", "d"][:k] for _ in query]
        if effort != "exact" and effort < 32:
            ids[0] = ["b", "c", "d"][:k]
        return Matches(ids, np.zeros((len(query), k), np.float32))


def test_by_hand() -> None:
    store = Forgetful()
    tuning = tune(store, vectors(500), [""] * 500, V1, k=2)
    lossy, good = tuning.trials[0], tuning.trials[-1]
    assert (lossy.effort, good.effort, tuning.least) == (16, 32, 32)
    assert lossy.recall == pytest.approx((499 + 0.5) / 500) and good.recall == 1
    # Wilson's interval of 1 of 500, and of 0 of 500.
    assert lossy.changed == 0.002 and lossy.at_most == pytest.approx(0.01124, abs=1e-5)
    assert good.changed == 0 and good.at_most == pytest.approx(0.00762, abs=1e-5)
    few = tune(store, vectors(50), [""] * 50, V1, k=2)
    assert few.least is None and few.needs == 381
    # Who is "a" does not find itself: the nearest other item is the first in both.
    assert tune(store, vectors(500), ["a"] * 500, V1, k=2).trials[0].changed == 0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    some = vectors(500)
    address = f"usearch:{tmp_path / 'gallery'}"
    with open_gallery(address, V1) as store:
        store.add(some, names(500), V1)
    save_embeddings(tmp_path / "queries.safetensors", some, names(500), V1)
    assert tune_command(address, tmp_path / "queries.safetensors") == 0
    assert "stays within 0.01" in capsys.readouterr().out
    assert tune_command(address, tmp_path / "queries.safetensors", sample=20) == 3
    assert "takes at least 381 queries" in capsys.readouterr().out
    save_embeddings(tmp_path / "others.safetensors", vectors(2, space=V2), names(2), V2)
    with pytest.raises(SpaceMismatchError, match=V2.space_id):
        tune_command(address, tmp_path / "others.safetensors")
    with pytest.raises(InputError, match="holds nothing"):
        tune_command(address, tmp_path / "queries.safetensors", tenant="nobody")
