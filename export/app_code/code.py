"""An application's code for one model: the same files for every bundle of a format, which read ``contract.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from export.app.contract import AppContract
from hetero.display.markdown import markdown_templates
from hetero.errors import InputError
from hetero.files import read_json

Language = Literal["kotlin", "swift", "javascript"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_FOLDER = Path(__file__).parent
JAVASCRIPT = _FOLDER / "javascript"
"""The folder of a page's modules, which the browser target runs, too."""
_README, _PACKAGE = "README.md.j2", "package.json"


@dataclass(frozen=True)
class _Sources:
    """A language's source files.

    Attributes:
        suffix: Suffix of the files that every model needs.
        engines: For each format, the files of ``engines`` by the names that an application gives them.
        package: The runtime of each format among the dependencies of ``package.json``, where there is one.
    """

    suffix: str
    engines: Mapping[str, Mapping[str, str]]
    package: Mapping[str, str]


_SOURCES: Mapping[Language, _Sources] = {
    "kotlin": _Sources(
        ".kt",
        {
            "litert": {name: name for name in ("LiteRtCompiled.kt", "LiteRtInterpreter.kt")},
            "onnx": {"OnnxEngine.kt": "OnnxEngine.kt"},
        },
        {},
    ),
    "swift": _Sources(".swift", {"coreml": {}}, {}),
    "javascript": _Sources(
        ".mjs",
        {"litert": {"engine.mjs": "litert.mjs"}, "onnx": {"engine.mjs": "onnx.mjs"}},
        {"litert": "@litertjs/core", "onnx": "onnxruntime-web"},
    ),
}


def reference_code(contract: AppContract, language: Language) -> Mapping[str, str]:
    """Return source files and a ``README.md`` that says how to use them.

    Args:
        contract: The model's contract; its format decides which runtime the code calls.
        language: One of :data:`LANGUAGES`.

    Returns:
        Content by relative path.

    Raises:
        InputError: If no code in that language runs the contract's format.
    """
    sources = _SOURCES[language]
    if contract.format not in sources.engines:
        runs = " and ".join(sources.engines)
        raise InputError(f"the {language} code runs models of {runs}, and this contract is of {contract.format}")
    folder = _FOLDER / language
    files = {path.name: path for path in sorted(folder.glob(f"*{sources.suffix}"))}
    files |= {name: folder / "engines" / own for name, own in sources.engines[contract.format].items()}
    files |= {f"optional/{path.name}": path for path in sorted(folder.glob(f"optional/*{sources.suffix}"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    if runtime := sources.package.get(contract.format):
        versions = read_json(folder / _PACKAGE)["dependencies"]
        package = {"type": "module", "private": True, "dependencies": {runtime: versions[runtime]}}
        texts[_PACKAGE] = json.dumps(package, indent=2) + "\n"
    return {**texts, "README.md": _readme(contract, folder / _README)}


def _readme(contract: AppContract, template: Path) -> str:
    return markdown_templates().from_string(template.read_text(encoding="utf-8")).render(contract=contract)
