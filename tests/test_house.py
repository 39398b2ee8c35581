"""The plan of the house: no circle of imports, small folders, public faces, and no package imported by a string."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("grimp", reason="needs the extra dev")

import grimp
import networkx as nx

from release.site import FACES, homes
from tests.snippets import ROOT

PACKAGES = ("hetero", "export", "device_tests")
CATALOGUES = {"hetero/objectives", "device_tests/runtimes/coreml/operators"}
"""Folders of like things, of which there may be many."""
LARGEST = 16
LAZY = {
    "hetero/named.py",  # a name in a record
    "device_tests/runner/__main__.py",  # what travels to devices has no other module of ours with it
    "device_tests/runner/engines.py",
    "device_tests/targets/emulated/systems.py",  # a script for a phone
    "device_tests/runtimes/coreml/operators/__init__.py",  # its own files, one by one
}
"""Where a string becomes code."""


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


@pytest.fixture(scope="module")
def graph() -> nx.DiGraph[str]:
    found = grimp.build_graph(*PACKAGES, cache_dir=None)
    edges = (
        (module, imported) for module in found.modules for imported in found.find_modules_directly_imported_by(module)
    )
    return nx.DiGraph(edges)


def test_no_file_is_in_a_circle_of_imports(graph: nx.DiGraph[str]) -> None:
    assert len(graph) > 500
    assert [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1] == []


def test_no_folder_holds_too_much() -> None:
    counted = Counter(path.parent.relative_to(ROOT).as_posix() for path in sources() if path.name != "__init__.py")
    assert len(counted) > 50
    assert {folder: number for folder, number in counted.items() if number > LARGEST and folder not in CATALOGUES} == {}


def test_shapes_are_stated_of_a_class() -> None:
    """Since numpy 2.5 ``NDArray`` is an alias that jaxtyping cannot ask what it is a subclass of."""
    stated = re.compile(r"\b(Float|Int|UInt|Bool|Shaped|Num|Integer|Inexact)\d*\[NDArray\b")
    assert [path.name for path in sources() if stated.search(path.read_text(encoding="utf-8"))] == []


def test_a_string_becomes_code_in_one_place() -> None:
    called = {path.relative_to(ROOT).as_posix() for path in sources() if "import_module(" in path.read_text("utf-8")}
    assert called == LAZY


def test_readers_are_sent_to_the_public_faces() -> None:
    """Pages import from faces alone; a benchmark takes from a face what a face has."""
    public = {(home, name) for face in FACES for name, home in homes(face).items()}
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    wrong: list[str] = []
    for page in pages:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            wrong += [f"{page.name}: {home}" for home, _ in _imports(block) if home not in (*FACES, *ROOMS)]
    for script in sorted((ROOT / "benchmarks").rglob("*.py")):
        imports = _imports(script.read_text(encoding="utf-8"))
        wrong += [f"{script.name}: {home}.{name}" for home, name in imports if (home, name) in public]
    assert wrong == []


ROOMS = ("device_tests.runtimes.coreml",)
"""Rooms that a page introduces by themselves."""


def _imports(source: str) -> list[tuple[str, str]]:
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES
        for alias in node.names
    ]
