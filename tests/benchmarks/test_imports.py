"""Benchmarks that nobody runs today still find what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.snippets import ROOT

MODULES = sorted((ROOT / "benchmarks").rglob("*.py"))
OURS = ("benchmarks", "device_tests", "export", "hetero")


def imported(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            yield from ((node.module, alias.name) for alias in node.names)


def names_in(module: str) -> set[str]:
    """What a module defines or imports, and what lies in its folder."""
    place = ROOT.joinpath(*module.split("."))
    # Packages that import late say in a stub what they have.
    files = [place / "__init__.pyi", place / "__init__.py"] if place.is_dir() else [place.with_suffix(".py")]
    names = {one.stem for one in place.iterdir()} if place.is_dir() else set[str]()
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case _:
                pass
    return names


def test_what_benchmarks_import_is_there() -> None:
    absent = [
        f"{path.relative_to(ROOT)}: {module}.{name}"
        for path in MODULES
        for module, name in imported(path)
        if name not in names_in(module)
    ]
    assert absent == []
