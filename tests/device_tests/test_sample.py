"""Fewer queries for targets that take long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_tests.answers.embeddings import embeddings_file, load_embeddings
from device_tests.checks.finding import Finding
from device_tests.ladder import verify as verification
from device_tests.ladder.sample import asked_of
from device_tests.report import write_report
from device_tests.targets.desktop import Desktop
from export.bundle.reading import read_bundle
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import CLASSES, write_bundle


class Slow(Desktop):
    """This machine, under another name, as if it were emulated."""

    name = "slow"
    emulated = True


def test_an_emulated_target_embeds_some_queries_and_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "target_called", lambda name: {"slow": Slow, "desktop": Desktop}[name]())
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    out = tmp_path / "out"
    verdict = verification.verify([bundle], ["desktop", "slow"], out, queries=12)
    assert verdict.exit_code == 0
    counts = {row.target: row.figures["queries"] for row in verdict.rows if row.rung == "retrieval"}
    assert counts == {"desktop": 2 * CLASSES, "slow": 12}
    assert verdict.about["targets"]["slow"]["queries of tiny"] == f"12 of {2 * CLASSES}, evenly spread"
    held = load_embeddings(embeddings_file(out, "tiny", "slow", "onnx", "fp32"))
    assert held is not None
    assert len(held.query) == len(held.query_rows) == 12
    assert (np.diff(held.query_rows) >= 3).all()
    write_report(
        out / "report.html", rows=[row.to_dict() for row in verdict.rows], matrix=None, bundles=[bundle],
        embeddings=out / "embeddings",
    )  # fmt: skip
    again = verification.verify([bundle], ["slow"], tmp_path / "next", queries=12, baseline=out / "verdict.json")
    assert not [move for move in again.about["moves"] if move["regression"] and move["where"][1] == "slow"]


def test_galleries_and_the_whole_stay_as_they_are(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    assert asked_of(bundle, Slow(), None) is asked_of(bundle, Desktop(), 12) is asked_of(bundle, Slow(), 999) is bundle
    some = asked_of(bundle, Slow(), 13).goldens
    assert len(some.query_rows) == 13
    for few, every in zip(some.tasks, bundle.goldens.tasks, strict=True):
        assert np.isin(few.query, every.query).all()
        assert few.gallery.tolist() == every.gallery.tolist()
    with pytest.raises(InputError, match="at least 2"):
        asked_of(bundle, Slow(), 1)


def test_findings_have_the_samples_interval(tmp_path: Path) -> None:
    """Fewer queries, wider interval: a model of other weights is right less often, by how much is less certain."""
    from device_tests.checks.gates import Gates
    from device_tests.ladder.climb import check_model
    from device_tests.ladder.running import Job

    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",), model_seed=1))
    widths: list[float] = []
    for queries in (None, 12):
        asked = asked_of(bundle, Slow(), queries)
        machine = Slow()
        (entry,) = asked.manifest.models
        found: Finding = check_model(asked, entry, Job(asked, entry, machine).run(), Gates())[3]
        machine.close()
        widths.append(float(found.figures["cmc@1_loss_high"] or 0) - float(found.figures["cmc@1_loss_low"] or 0))
    assert widths[1] > widths[0] > 0
