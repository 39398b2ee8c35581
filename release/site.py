"""Add what is not in ``docs/`` to the documentation site; MkDocs calls it as a hook.

The front page is README.md. CONTRIBUTING.md and CHANGELOG.md are pages, too. The reference is made of the packages'
public faces and of the command line. A file of the repository that a page links to comes along as text, so that every
link works offline.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
from importlib import import_module
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from hetero.cli.main import build_app

ROOT = Path(__file__).parents[1]
FACES = ("hetero", "hetero.metrics", "hetero.nas", "hetero.linear", "export", "device_tests")
"""The packages whose names are public: those that their stubs list."""
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_CONTENTS = re.compile(r"## Table of Contents\n.*?(?=\*\*Commands\*\*)", re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)(?P<path>[^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lay the reference's pages out in the navigation."""
    for entry in config.nav or []:
        if "Reference" in entry:
            entry["Reference"] = [*reference()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files that lie elsewhere; every link leads to a file of the site."""
    linked: set[str] = set()
    pages = {f"docs/{file.src_uri}": file.src_uri for file in files.documentation_pages()} | PAGES
    for origin, place in pages.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        _put(files, File.generated(config, place, content=relink(text, origin, place, pages, linked)))
    for path in sorted(linked):
        _put(files, File.generated(config, source_place(path), content=(ROOT / path).read_bytes()))
    for place, text in reference().items():
        _put(files, File.generated(config, place, content=text))
    shim = ROOT / "release" / "iframe-worker.js"
    _put(files, File.generated(config, f"assets/{shim.name}", content=shim.read_bytes()))
    return files


def relink(text: str, origin: str, place: str, pages: dict[str, str], linked: set[str]) -> str:
    """Point a page's links, which fit the repository, at the site.

    Args:
        text: The page.
        origin: Its path in the repository.
        place: Its path in the site.
        pages: Where each page of the repository is in the site.
        linked: Takes the paths of files that are no pages.
    """

    def target(match: re.Match[str]) -> str:
        path = os.path.normpath(PurePosixPath(origin).parent / match["path"])
        if path in pages:
            goal = pages[path]
        elif path.startswith("docs/"):
            goal = path.removeprefix("docs/")
        else:
            linked.add(path)
            goal = source_place(path)
        return os.path.relpath(goal, PurePosixPath(place).parent)

    return _LINK.sub(target, text)


def source_place(path: str) -> str:
    """Where the site keeps a file of the repository: browsers show text, and save what they do not know."""
    return f"source/{path}.txt"


def reference() -> dict[str, str]:
    """The reference's pages, by place."""
    return {"reference/command-line.md": command_line()} | {f"reference/{face}.md": _page(face) for face in FACES}


def homes(face: str) -> dict[str, str]:
    """The public names of a package, each with the module that it is at home in, as the package's stub says."""
    stub = Path(str(import_module(face).__file__)).with_suffix(".pyi")
    imports = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    names = {alias.name: f"{face}.{node.module}" for node in imports if node.module for alias in node.names}
    return dict(sorted(names.items(), key=lambda item: item[0].lower()))


def _page(face: str) -> str:
    """A package's page: its docstring, and every public name under that name."""
    parts = [f"# {face}", inspect.cleandoc(import_module(face).__doc__ or "")]
    for name, home in homes(face).items():
        options = {"heading": name, "toc_label": name, "show_root_heading": True, "show_root_toc_entry": True}
        lines = [f"      {key}: {json.dumps(value)}" for key, value in options.items()]
        parts.append("\n".join([f"::: {home}.{name}", "    options:", *lines]))
    return "\n\n".join(parts) + "\n"


def command_line() -> str:
    """The page of all commands, made of their help."""
    text = build_app().generate_docs().replace("# hetero\n", "# Command line\n", 1)
    return _CONTENTS.sub("", text)


def _put(files: Files, file: File) -> None:
    if earlier := files.get_file_from_path(file.src_uri):
        files.remove(earlier)
    files.append(file)
