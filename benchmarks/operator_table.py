"""Every operator of the catalogue through every converter: what the files give on extreme inputs, against torch.

Writes docs/operators.md:

    python benchmarks/operator_table.py --out docs/operators.md

Ends with status 1 when a file computes something else than torch.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from benchmarks.operator_catalogue import catalogue  # noqa: E402
from benchmarks.operator_reference import OWN, SIDE, TOLERANCE, Reference, Rows, captured, images, split  # noqa: E402
from device_tests.runtimes.coreml import load  # noqa: E402
from export.formats import FORMATS  # noqa: E402
from export.formats.converter import ConversionJob, load_converter  # noqa: E402
from export.formats.coreml.rules import RULES as COREML  # noqa: E402
from export.formats.litert.rules import RULES as LITERT  # noqa: E402
from export.formats.onnx.rules import RULES as ONNX  # noqa: E402
from export.kinds.precision import Precision  # noqa: E402
from export.kinds.registry import format_called  # noqa: E402
from export.rewrites import written_out  # noqa: E402
from export.rewrites.operator_support import refused, without_hidden  # noqa: E402

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
_AT_ONCE = 64
_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "litert-torch", "ai-edge-litert", "coremltools")


@dataclass(frozen=True)
class Cell:
    """What became of an operator in a file.

    Attributes:
        state: ``agrees``, ``rewritten``, ``refused`` or ``WRONG``.
        why: Of a refusal or a fault.
    """

    state: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.state}: {self.why}" if self.why else self.state


NOT_RUN = Cell("not run")
RULE = "|---" * 7 + "|"
_INTRODUCTION = """# Operators

What becomes of {count} operators in every format, in float32 and float16. Each was exported as `hetero export` does
it, and run: ONNX by ONNX Runtime, LiteRT by its interpreter, Core ML by the [reference
executor](coreml-executor.md). {counts}.

- **agrees**: on ordinary, small (up to 0.004), large (up to 8128), all-zero, spiky (a few values of 127 among small
  ones), shifted (around 57) and constant feature maps the file gives what torch gives in float64, within
  {fp32_share:g} of the largest magnitude ({fp16_share:g} in float16), or {fp32_own:g} times what torch itself loses
  in float32 ({fp16_own:g} times what it loses when every result is rounded to float16). Infinities, and what is no
  number, are torch's in float32.
- **rewritten**: the same, after export wrote the operator out as others, since the converter does not know it or
  would have changed its meaning ([export/rewrites](../export/rewrites/__init__.py)
  and `rules.py` of the format).
- **refused**: the export of this format ends with the operator's name and this reason
  (`rules.py` of the format, as [that of ONNX](../export/formats/onnx/rules.py)).

A feature map on which a value leaves float16's range is not judged in float16: export names the operator ([fp16
that does not overflow](export.md)).

Made by `python benchmarks/operator_table.py --out docs/operators.md`, format by format,
on {date}; {machine}; {versions}.

"""

RULES = {rules.format: rules for rules in (ONNX, LITERT, COREML)}
Table = dict[str, dict[tuple[str, Precision], Cell]]


def support(reference: Reference, format: str) -> dict[str, Cell]:
    """What export does with each operator before a converter sees it."""
    rules = RULES[format]
    program = without_hidden(reference.program, rules)
    found = dict.fromkeys(reference.names, Cell("agrees"))
    found |= {reference.owner(node): Cell("rewritten") for node in written_out(program, rules.rewrites)[1]}
    return found | {
        reference.owner(node): Cell("refused", f"{node.target}: {why}") for node, why in refused(program, rules)
    }


def fill(table: Table, reference: Reference, format: str, operators: Mapping[str, nn.Module]) -> None:
    """Convert, run and judge all operators in one format."""
    found = support(reference, format)
    names = [name for name in operators if found[name].state != "refused"]
    for name in operators:
        table[name].update({(format, precision): found[name] for precision in PRECISIONS})
    for start in range(0, len(names), _AT_ONCE):
        began = time.perf_counter()
        some = names[start : start + _AT_ONCE]
        for name, precision, fault in faults(reference, format, {name: operators[name] for name in some}):
            table[name][format, precision] = Cell("WRONG", fault)
            print(f"{format} {precision} {name}: {fault}", flush=True)
        print(f"{format}: {start + len(some)} of {len(names)}, {time.perf_counter() - began:.0f} s", file=sys.stderr)


def faults(
    reference: Reference, format: str, operators: Mapping[str, nn.Module]
) -> Iterator[tuple[str, Precision, str]]:
    """Operators whose files give something else than torch, or that fail; halves tell which ones do."""
    try:
        came = list(_computed(operators, format))
    except Exception as error:  # converters raise all kinds
        if len(operators) == 1:
            yield from (
                (*operators, precision, f"fails: {' '.join(str(error)[:500].split())}") for precision in PRECISIONS
            )
            return
        names = list(operators)
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            yield from faults(reference, format, {name: operators[name] for name in half})
        return
    for precision, rows in came:
        for name in operators:
            if found := reference.faults(name, rows[name], precision):
                yield name, precision, "; ".join(found)


def _computed(operators: Mapping[str, nn.Module], format: str) -> Iterator[tuple[Precision, dict[str, Rows]]]:
    """What the files of operators give, by precision."""
    converter = load_converter(format)
    job = ConversionJob({"hetero.version": "0", "hetero.model": "operators"}, SIDE, SIDE, {}, None)
    prepared = converter.prepare(captured(operators), job)
    shown = np.stack(list(images().values()))
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            path = Path(folder) / f"{precision}{format_called(format).suffix}"
            converter.write(prepared, precision, path)
            if converter.run is None:
                engine: Any = load(path, "float16" if precision == "fp16" else "float32")
                yield precision, split(engine.predict({"image": shown})["embedding"], operators)
            else:
                yield precision, split(converter.run(path, shown), operators)


def page(table: Table) -> str:
    """The table as a page."""
    states = [cell.state for row in table.values() for cell in row.values()]
    agree, rewritten, are_refused, wrong = map(states.count, ("agrees", "rewritten", "refused", "WRONG"))
    counts = f"{agree:,} cells agree, {rewritten} are rewritten, {are_refused} are refused, {wrong} are wrong"
    columns = [(format, precision) for format in FORMATS for precision in PRECISIONS]
    head = " | ".join(f"{format_called(format).title} {precision}" for format, precision in columns)
    rows = [
        f"| {name} | {' | '.join(str(row.get(column, NOT_RUN)) for column in columns)} |" for name, row in table.items()
    ]
    return "\n".join(
        [_INTRODUCTION.format(**_facts(), counts=counts, count=len(table)), f"| operator | {head} |", RULE, *rows, ""]
    )


def read(page: Path) -> Table:
    """The table of a page."""
    lines = [
        line.strip("| ").split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line[:2] == "| "
    ]
    columns = [(format, precision) for format in FORMATS for precision in PRECISIONS]
    return {
        name: {column: Cell(*text.split(": ", 1)) for column, text in zip(columns, texts, strict=True)}
        for name, *texts in lines[1:]
    }


def _facts() -> dict[str, Any]:
    place = where_and_when()
    return {
        "date": place["date"],
        "machine": f"{place['machine']['cpu']}, {place['machine']['system']}",
        "versions": ", ".join(f"{package} {importlib.metadata.version(package)}" for package in _PACKAGES),
        **{f"{precision}_share": TOLERANCE[precision] for precision in PRECISIONS},
        **{f"{precision}_own": OWN[precision] for precision in PRECISIONS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--formats",
        nargs="*",
        default=list(FORMATS),
        choices=list(FORMATS),
        help="others stay as the page has them",
    )
    parser.add_argument("--only", nargs="*", help="operators, by name; others stay as the page has them")
    given = parser.parse_args()
    every = catalogue()
    operators = {name: every[name] for name in given.only or every}
    reference = Reference(operators)
    table = read(given.out) if given.out is not None and given.out.is_file() else {}
    table = {name: table.get(name, {}) for name in every}
    for format in given.formats:
        fill(table, reference, format, operators)
    if given.out is not None:
        given.out.write_text(page(table), encoding="utf-8")
    sys.exit(any(cell.state == "WRONG" for row in table.values() for cell in row.values()))


if __name__ == "__main__":
    main()
