"""CONTRIBUTING.md names files that exist."""

from __future__ import annotations

import re

from tests.snippets import ROOT


def test_every_file_that_a_walk_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {path for path in re.findall(r"`(\w+/[\w/]+\.[\w.]+)`", text) if "NAME" not in path}
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
