"""Every snippet of the guides runs."""

from __future__ import annotations

import pytest

from tests.snippets import ROOT, lay_out, run_page


@pytest.mark.slow
def test_train_a_student(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    names = run_page(ROOT / "docs" / "train-a-student.md", place)
    assert (place / "models" / "edge" / "space.json").is_file()
    assert names["student"].space == names["cloud_model"].space
    assert 0 <= names["asymmetric"].mean("map@r") <= 1
