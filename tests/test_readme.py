"""Every snippet of the README runs, and every file that it names is there."""

from __future__ import annotations

import re

import pytest

from tests.snippets import ROOT, lay_out, run_page

README = ROOT / "README.md"


@pytest.mark.slow
def test_every_snippet_runs(tmp_path, monkeypatch):
    place = lay_out(tmp_path, labelled=False)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    names = run_page(README, place)
    assert (place / "models" / "edge" / "model.safetensors").is_file()
    assert len(names["names"]) == len(names["photos"].test)
    for name in ("matrix.json", "verdict.json", "report.html"):
        assert (place / "runs" / "mine" / name).is_file()


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_every_file_that_a_page_names_exists(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).is_file()]
    assert not missing
