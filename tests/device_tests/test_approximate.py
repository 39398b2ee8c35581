"""The gate of an approximate gallery, on a store that loses what it is told to lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.checks import retrieval
from device_tests.checks.gates import Gates
from device_tests.checks.retrieval_gates import store_gate
from device_tests.commands import verify_command
from device_tests.evidence.approximate import ApproximateGallery
from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.checked import CheckedStore
from hetero.gallery.opening import open_gallery
from hetero.gallery.store import Effort, Matches
from hetero.space import EmbeddingSpace
from tests.device_tests.test_checks import replaced, subject

SPACE = EmbeddingSpace.define(defined_by="a", name="fashion", version="1", dimension=2)
OTHER = EmbeddingSpace.define(defined_by="b", name="fashion", version="2", dimension=2)


class Lossy(CheckedStore):
    """Gives the first queries another first answer, unless the search is exact."""

    space = SPACE  # pyright: ignore[reportAssignmentType]

    def __init__(self, lost: int) -> None:
        self.lost = lost

    def search(self, query: np.ndarray, k: int, space: EmbeddingSpace, *, effort: Effort, **rest: Any) -> Matches:
        assert np.allclose(np.linalg.norm(query, axis=1), 1, atol=1e-6)
        ids = [["b", "c"] if effort != "exact" and row < self.lost else ["a", "b"] for row in range(len(query))]
        return Matches(ids, np.zeros((len(query), 2), np.float32))


def gallery(lost: int) -> ApproximateGallery:
    return ApproximateGallery(Lossy(lost), 16, "usearch:shop", SPACE)


def test_the_store_is_searched_as_configured_and_exactly() -> None:
    queries = np.full((200, 2), 1.5, np.float32)
    changed, recall = gallery(50).compare(queries)
    assert changed.tolist() == [1.0] * 50 + [0.0] * 150
    assert recall == pytest.approx((50 * 0.5 + 150) / 200)


def test_the_share_of_changed_answers_is_held_against_the_limit_of_a_loss() -> None:
    none = store_gate(np.zeros(200), 0.01, store="usearch:shop")
    assert none.judgement.answer == "within" and none.figure.value == 0
    many = store_gate(np.arange(200) % 2 * 1.0, 0.01, store="usearch:shop")
    assert many.judgement.answer == "beyond"
    assert "100 of 200 queries get another first answer from usearch:shop than from an exact search" in many.told
    few = store_gate(np.zeros(50), 0.01, store="usearch:shop")
    assert (few.judgement.answer, few.judgement.needs) == ("open", 100)


def test_it_is_part_of_the_rung_retrieval() -> None:
    wide = Gates(largest_loss=0.25)
    assert retrieval.check(subject(), wide, gallery(0)).status == "pass"
    failed = retrieval.check(subject(), wide, gallery(4))
    assert failed.status == "fail" and "4 of 4 queries get another first answer" in failed.reason
    assert failed.figures["store_changed"] == 1 and failed.figures["cmc@1"] == 0.75
    zero = retrieval.check(subject(replaced(query=np.zeros((4, 2), np.float32))), wide, gallery(4))
    assert "store_changed" not in zero.figures


def test_another_space_and_an_empty_store_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SpaceMismatchError, match="the gallery store usearch:shop and the bundle edge"):
        gallery(0).require_fits(OTHER, "edge")
    with pytest.raises(InputError, match="give its address: --gallery-store"):
        verify_command([tmp_path], effort=10)
    with pytest.raises(InputError, match="give its address: --gallery-store"):
        verify_command([tmp_path], tenant="shop 7")
    with pytest.raises(InputError, match=r"found no items\.sqlite"):
        verify_command([tmp_path], gallery_store=f"usearch:{tmp_path / 'nowhere'}", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tenant_without_items_is_refused_where_others_have_some(tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    address, rows = f"usearch:{tmp_path / 'gallery'}", np.eye(2, dtype=np.float32)
    with open_gallery(address, SPACE) as store:
        store.add(rows, ["a", "b"], SPACE, tenant="shop 7")
    for tenant, reason in ((None, "holds no item of the tenant ''"), ("shop 7", "bundle")):
        with pytest.raises(InputError, match=reason):
            verify_command([tmp_path / "bundle"], gallery_store=address, tenant=tenant, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_queries_are_not_held_against_a_space_that_the_store_serves_since(tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    rows = np.eye(2, dtype=np.float32)
    with open_gallery(f"usearch:{tmp_path / 'gallery'}", SPACE) as store:
        store.add(rows, ["a", "b"], SPACE)
        approximate = ApproximateGallery(store, 16, "usearch:shop", SPACE)
        assert approximate.compare(rows)[0].tolist() == [0, 0]
        backfill = store.begin(OTHER)
        backfill.add(rows, backfill.missing(), OTHER)
        backfill.swap()
        with pytest.raises(SpaceMismatchError):
            approximate.compare(rows)
        store.remove(["a", "b"])
        backfill.roll_back()
        with pytest.raises(InputError, match="nothing is found"):
            approximate.compare(rows)
