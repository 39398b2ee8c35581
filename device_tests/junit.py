"""A verdict as JUnit XML, which every CI system shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

# XML 1.0 cannot hold these at all, escaped or not, and a runtime's message may.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(rows: Sequence[Mapping[str, Any]], regressions: Sequence[str] = ()) -> bytes:
    """One test suite a bundle and target, one test case a row.

    Args:
        rows: As in ``verdict.json``. A rung that was asked for and is not verified counts as an error, one that
            was not asked for as skipped; one that a policy excuses as skipped, too.
        regressions: What got worse than a baseline: a failed test case each.
    """
    root = ElementTree.Element("testsuites", name="hetero verify")
    suites: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        suites.setdefault(f"{row['bundle']} on {row['target']}", []).append(row)
    for name, cases in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", _counts(cases), name=_text(name))
        for row in cases:
            _case(suite, row)
    if regressions:
        told = {"tests": str(len(regressions)), "failures": str(len(regressions)), "errors": "0", "skipped": "0"}
        suite = ElementTree.SubElement(root, "testsuite", told, name="baseline")
        for number, regression in enumerate(regressions, 1):
            case = ElementTree.SubElement(suite, "testcase", classname="baseline", name=f"regression {number}")
            ElementTree.SubElement(case, "failure", message=_text(regression))
    root.attrib.update(_counts(rows))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, row: Mapping[str, Any]) -> None:
    place = f"{row['bundle']}.{row['target']}.{row['format']}.{row['precision']}"
    case = ElementTree.SubElement(suite, "testcase", classname=_text(place), name=_text(row["rung"]))
    if kind := _kind(row):
        excused = f"excused: {row['excused']}; " if row.get("excused") else ""
        ElementTree.SubElement(case, kind, message=_text(excused + row["reason"]))
    if row["figures"]:
        lines = [f"{name} = {value}" for name, value in sorted(row["figures"].items())]
        ElementTree.SubElement(case, "system-out").text = _text("\n".join(lines))


def _kind(row: Mapping[str, Any]) -> str:
    if row.get("excused"):
        return "skipped"
    if row["status"] == "fail":
        return "failure"
    if row["status"] == "not verified":
        return "error" if row["asked"] else "skipped"
    return ""


def _counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    kinds = [_kind(row) for row in rows]
    numbers = {
        "tests": len(rows),
        "failures": kinds.count("failure"),
        "errors": kinds.count("error"),
        "skipped": kinds.count("skipped"),
    }
    return {name: str(number) for name, number in numbers.items()}


def _text(value: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)
