"""The picture of the packages: laid out by hand on a small graph, and up to date."""

from __future__ import annotations

import pytest

pytest.importorskip("grimp", reason="needs the extra dev")

import grimp

from release import tree


def test_a_package_stands_above_what_it_imports(tmp_path, monkeypatch) -> None:
    graph = grimp.ImportGraph()
    for module in (
        "toy",
        "toy.a",
        "toy.a.x",
        "toy.b",
        "toy.b.x",
        "toy.c",
        "toy.c.x",
        "toy.d",
        "toy.d.x",
        "toy.between",
    ):
        graph.add_module(module)
    graph.add_module("other")
    graph.add_module("other.x")
    for importer, imported in (
        ("toy.a.x", "toy.between"),  # a reaches b through a module beside the packages
        ("toy.between", "toy.b.x"),
        ("toy.b.x", "toy.c.x"),
        ("toy.c.x", "toy.b.x"),
        ("toy.b.x", "other.x"),
        ("toy", "toy.a.x"),  # the public face hands names on
        ("toy.d.x", "toy"),
    ):
        graph.add_import(importer=importer, imported=imported)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "between.py").touch()
    monkeypatch.setattr(tree, "ROOT", tmp_path)
    shown = tree.lane("toy", graph)
    assert shown.rows == ([["toy.a"]], [["toy.b", "toy.c"], ["toy.d"]])
    assert (shown.imports, shown.modules) == (("other",), ("between",))


def test_groups_stay_together() -> None:
    assert tree.broken([["a"], ["b", "c"], ["d"]], 2) == [[["a"]], [["b", "c"]], [["d"]]]
    assert tree.broken([["a", "b", "c"], ["d"]], 2) == [[["a", "b", "c"]], [["d"]]]


def test_the_picture_is_up_to_date() -> None:
    assert tree.PICTURE.read_text(encoding="utf-8") == tree.picture(), "python -m release.tree draws it again"
