"""Draw the packages by what they import: ``python -m release.tree``, which writes docs/tree.svg.

What a late import names by string is not seen.
"""

from __future__ import annotations

import ast
import html
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import grimp
import networkx as nx

from hetero.files import write_bytes

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "tree.svg"
LANES = {"hetero": (3, "#dbe7fb"), "export": (2, "#dff3e1"), "device_tests": (2, "#fdebd3")}
"""By top-level package: how many boxes stand side by side, and their colour."""
BOX, GAP, LINE = 158, 10, 14
LETTERS = BOX // 7  # that fit into a box

Groups = list[list[str]]


@dataclass(frozen=True)
class Lane:
    """What is drawn of one top-level package.

    Attributes:
        name: Its name.
        imports: The others that it imports.
        rows: Top first: groups of packages, of which each imports from groups below only; members of one import each
            other.
        modules: The files beside the packages.
    """

    name: str
    imports: tuple[str, ...]
    rows: tuple[Groups, ...]
    modules: tuple[str, ...]


def lane(name: str, graph: grimp.ImportGraph) -> Lane:
    """Lay one top-level package out."""
    units: nx.DiGraph[str] = nx.DiGraph()
    others: set[str] = set()
    for module in [name, *graph.find_descendants(name)]:
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.split(".")[0] != name:
                others.add(imported.split(".")[0])
            elif name not in (module, imported):  # the package itself only hands names on
                units.add_edge(_unit(imported), _unit(module))
    children = sorted(graph.find_children(name))
    packages = [child for child in children if graph.find_children(child)]
    units.add_nodes_from(packages)
    above = nx.transitive_closure(units, reflexive=None).subgraph(packages)
    groups = nx.condensation(above)
    rows = [
        sorted(sorted(groups.nodes[group]["members"]) for group in row) for row in nx.topological_generations(groups)
    ]
    modules = [
        child.rpartition(".")[2] for child in children if ROOT.joinpath(*child.split(".")).with_suffix(".py").is_file()
    ]
    return Lane(name, tuple(sorted(others)), tuple(reversed(rows)), tuple(modules))


def _unit(module: str) -> str:
    return ".".join(module.split(".")[:2])


def purpose(package: str) -> str:
    """What a package is, as its docstring begins."""
    source = ROOT.joinpath(*package.split("."), "__init__.py").read_text(encoding="utf-8")
    summary = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0]
    summary = re.sub(r":\w+:`([\w.]+)`", lambda role: role[1].rpartition(".")[2], " ".join(summary.split()))
    return re.split(r"[.:;(]", summary)[0].strip()


def drawing(lanes: list[Lane]) -> str:
    """The picture, as SVG."""
    parts, x, height = [], GAP, 0
    for shown in lanes:
        columns, colour = LANES[shown.name]
        width = columns * (BOX + GAP) + GAP
        drawn, bottom = _lane(shown, x, columns, colour)
        parts += [f'<text x="{x}" y="22" font-size="17" font-weight="bold">{shown.name}</text>']
        parts += [
            _text(x, 38, [f"imports {' and '.join(shown.imports)}" if shown.imports else "imports neither"]),
            *drawn,
        ]
        x, height = x + width + GAP, max(height, bottom)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x} {height}" font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, f'<rect width="{x}" height="{height}" fill="white"/>', *parts, "</svg>", ""])


def _lane(shown: Lane, left: int, columns: int, colour: str) -> tuple[list[str], int]:
    parts: list[str] = []
    y = 56
    for row in shown.rows:
        for line in broken(row, columns):
            packages = [package for group in line for package in group]
            texts = {package: textwrap.wrap(purpose(package), LETTERS) for package in packages}
            height = (max(map(len, texts.values())) + 2) * LINE
            for column, package in enumerate(packages):
                x = left + column * (BOX + GAP)
                parts += [_rect(x, y, BOX, height, colour), _text(x + 8, y + 17, [package.split(".")[1]], bold=True)]
                parts += [_text(x + 8, y + 17 + LINE, texts[package])]
            for group in (group for group in line if len(group) > 1):
                x = left + packages.index(group[0]) * (BOX + GAP)
                width = len(group) * (BOX + GAP) - GAP
                parts += [_rect(x - 4, y - 4, width + 8, height + 8, "none", dashes="4 3")]
            y += height + GAP
        y += GAP
    names = textwrap.wrap(", ".join(shown.modules), LETTERS * columns)
    parts += [_text(left, y + 6, ["modules beside them"], bold=True), _text(left, y + 6 + LINE, names)]
    return parts, y + (len(names) + 2) * LINE


def broken(row: Groups, columns: int) -> list[Groups]:
    """Break a row where it has more packages than columns; a group stays together."""
    lines: list[Groups] = [[]]
    for group in row:
        if lines[-1] and sum(map(len, lines[-1])) + len(group) > columns:
            lines.append([])
        lines[-1].append(group)
    return lines


def _rect(x: int, y: int, width: int, height: int, fill: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{fill}" stroke="#667"{dashed}/>'


def _text(x: int, y: int, lines: list[str], *, bold: bool = False) -> str:
    spans = "".join(
        f'<tspan x="{x}" y="{y + index * LINE}">{html.escape(line)}</tspan>' for index, line in enumerate(lines)
    )
    weight = ' font-weight="bold"' if bold else ""
    return f"<text{weight}>{spans}</text>"


def picture() -> str:
    """What docs/tree.svg holds when it is up to date."""
    graph = grimp.build_graph(*LANES, cache_dir=None)
    return drawing([lane(name, graph) for name in LANES])


if __name__ == "__main__":
    write_bytes(PICTURE, picture().encode())
