"""The site's pages: links fit the site, and what is generated names the public faces and the commands."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

pytest.importorskip("mkdocs", reason="needs the extra docs")


from hetero.cli.main import BRIEF
from release import site

PAGES = {"README.md": "index.md", "docs/data.md": "data.md", "CONTRIBUTING.md": "contributing.md"}


@pytest.mark.parametrize(
    ("link", "origin", "place", "expected"),
    [
        ("docs/data.md", "README.md", "index.md", "data.md"),
        ("docs/data.md#splits", "README.md", "index.md", "data.md#splits"),
        ("docs/demo.png", "README.md", "index.md", "demo.png"),
        ("../README.md", "docs/data.md", "data.md", "index.md"),
        ("../export/precision/rule.py", "docs/data.md", "data.md", "source/export/precision/rule.py.txt"),
        ("docs/data.md", "README.md", "deep/index.md", "../data.md"),
        ("#install", "README.md", "index.md", "#install"),
        ("https://example.org/a.md", "README.md", "index.md", "https://example.org/a.md"),
    ],
)
def test_a_link_fits_the_site(link: str, origin: str, place: str, expected: str) -> None:
    assert site.relink(f"a [page]({link}) b", origin, place, PAGES, set()) == f"a [page]({expected}) b"


def test_only_files_that_are_no_pages_come_along() -> None:
    linked: set[str] = set()
    site.relink(
        "[a](../export/precision/rule.py) [b](space.md) ![c](demo.png)", "docs/data.md", "data.md", PAGES, linked
    )
    assert linked == {"export/precision/rule.py"}


def test_the_reference_has_every_public_face_and_every_command() -> None:
    pages = site.reference()
    for face in site.FACES:
        public = set(import_module(face).__all__)
        assert len(public) > 5
        submodules = {name for name in public if isinstance(getattr(import_module(face), name), ModuleType)}
        assert set(site.homes(face)) == public - submodules
        assert all(f"::: {home}.{name}\n" in pages[f"reference/{face}.md"] for name, home in site.homes(face).items())
    commands = pages["reference/command-line.md"]
    assert all(f"\n## hetero {name}\n" in commands for name in BRIEF)
    assert "Table of Contents" not in commands
