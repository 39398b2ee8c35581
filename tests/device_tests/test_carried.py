"""The rung of a bundle that carries a gallery."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from device_tests.answers import kept
from device_tests.checks import carried
from device_tests.checks.finding import GALLERY, Finding
from device_tests.checks.gates import Gates
from device_tests.ladder.climb import check_model, run_model
from device_tests.targets.desktop import Desktop
from device_tests.targets.target import Returned
from export.bundle.carrying import carry_gallery
from export.bundle.manifest import GRAPH, MANIFEST, GalleryEntry
from export.bundle.reading import Bundle, read_bundle
from hetero.files import read_json, sha256_file, write_json
from hetero.gallery.opening import open_gallery
from tests.device_tests.test_checks import subject
from tests.device_tests.tiny_bundle import SPACE, goldens, write_bundle

WIDE = Gates(largest_loss=0.25)
ENTRY = GalleryEntry(items=9, effort=8, connectivity=16, usearch="2")


def carrying(folder: Path, *, effort: int = 64) -> Path:
    """A bundle that carries the cloud's vectors of its retrieval images, some hundred times, each a little moved."""
    pytest.importorskip("usearch", reason="needs the extra gallery")
    bundle = write_bundle(folder / "bundle", formats=("onnx",))
    cloud = np.repeat(goldens().retrieval_cloud, 100, axis=0)
    cloud += 0.05 * np.random.default_rng(0).normal(size=cloud.shape).astype(np.float32)
    cloud /= np.linalg.norm(cloud, axis=1, keepdims=True)
    with open_gallery(f"usearch:{folder / 'gallery'}", SPACE) as store:
        store.add(cloud, [f"photo {row}" for row in range(len(cloud))], SPACE)
    carry_gallery(bundle, f"usearch:{folder / 'gallery'}", folder / "offline", effort=effort)
    return folder / "offline"


def verified(bundle: Bundle, gates: Gates = WIDE) -> tuple[Returned, dict[str, Finding]]:
    target, entry = Desktop(), bundle.manifest.models[0]
    target.set_up()
    try:
        returned = run_model(bundle, entry, target)
    finally:
        target.close()
    return returned, {finding.rung: finding for finding in check_model(bundle, entry, returned, gates)}


def answer(near: list[list[int]], exact: list[list[int]]) -> Finding:
    returned = Returned(near=np.array(near, np.uint64), exact=np.array(exact, np.uint64))
    return carried.check(dataclasses.replace(subject(), returned=returned, gallery=ENTRY), WIDE)


def test_another_first_item_counts_as_a_loss() -> None:
    same = answer([[1, 2], [3, 4], [5, 6], [7, 8]], [[1, 2], [3, 9], [5, 6], [7, 8]])
    assert same.status == "pass" and same.figures["changed"] == 0 and same.figures["recall@2"] == 0.875
    others = answer([[2, 1], [4, 3], [6, 5], [8, 7]], [[1, 2], [3, 4], [5, 6], [7, 8]])
    assert others.status == "fail" and others.figures["recall@2"] == 1
    assert "4 of 4 queries get another first answer from the bundle's gallery at effort 8" in others.reason


@pytest.mark.parametrize(
    ("returned", "status", "reason"),
    [
        (Returned(), "not verified", "this target searches no gallery"),
        (Returned(gallery_error="no usearch", gallery_lacks=True), "not verified", "no usearch"),
        (Returned(gallery_error="it is damaged"), "fail", "it is damaged"),
    ],
)
def test_a_gallery_that_was_not_searched_never_passes(returned: Returned, status: str, reason: str) -> None:
    finding = carried.check(dataclasses.replace(subject(), returned=returned, gallery=ENTRY), WIDE)
    assert (finding.status, finding.reason) == (status, reason)


def test_what_the_target_embedded_searches_the_gallery(tmp_path: Path) -> None:
    bundle = read_bundle(carrying(tmp_path))
    returned, rungs = verified(bundle)
    assert {finding.status for finding in rungs.values()} == {"pass"}, rungs
    assert rungs[GALLERY].figures["items"] == 4800 and rungs[GALLERY].figures["queries"] == 48
    near, exact = returned.near, returned.exact
    assert near is not None and exact is not None and near.shape == exact.shape == (48, 10)
    kept.save("carried", returned)
    again = kept.load("carried")
    assert again is not None and np.array_equal(again.near, near) and np.array_equal(again.exact, exact)


def test_a_graph_that_loses_answers_fails_and_no_other_rung_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.bundle.carrying.CONNECTIVITY", 2)
    monkeypatch.setattr("hetero.gallery.embedded.graph.CONNECTIVITY", 2)
    monkeypatch.setattr("hetero.gallery.embedded.graph.EXPANSION", 1)
    _, rungs = verified(read_bundle(carrying(tmp_path, effort=1)), Gates(largest_loss=0.05))
    assert rungs[GALLERY].status == "fail" and "get another first answer" in rungs[GALLERY].reason
    assert [finding.status for name, finding in rungs.items() if name != GALLERY] == ["pass"] * 5


@pytest.mark.parametrize("damage", ["cut", "noise", "other"])
def test_a_damaged_graph_fails_its_own_rung_alone(tmp_path: Path, damage: str) -> None:
    path = carrying(tmp_path)
    graph = path / GRAPH
    content = bytearray(graph.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "noise":
        # The links of the graph's nodes, which the vectors precede.
        content[-200_000:] = np.random.default_rng(0).bytes(200_000)
    else:
        content = bytearray(b"no graph")
    graph.write_bytes(content)
    relist(path)
    returned, rungs = verified(read_bundle(path))
    assert rungs[GALLERY].status == "fail", rungs[GALLERY]
    assert returned.gallery_error or rungs[GALLERY].figures["changed"], rungs[GALLERY]
    assert [finding.status for name, finding in rungs.items() if name != GALLERY] == ["pass"] * 5


def relist(path: Path) -> None:
    """Make the manifest fit the changed graph: what somebody hostile would do too."""
    record, graph = read_json(path / MANIFEST), path / GRAPH
    for file in record["files"]:
        if file["path"] == GRAPH:
            file |= {"sha256": sha256_file(graph), "size": graph.stat().st_size}
    write_json(path / MANIFEST, record)
