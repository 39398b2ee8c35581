"""A verdict as JUnit XML, which every CI system shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

# XML 1.0 cannot hold these characters at all, escaped or not, and a runtime's message may contain them.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(
    rows: Sequence[Mapping[str, Any]],
    regressions: Sequence[str] = (),
    students: Sequence[Mapping[str, Any]] = (),
    origins: Mapping[str, str] | None = None,
    evidence: str = "",
    missing: str = "",
) -> bytes:
    """Return one test suite per bundle and target with a test case for each row, and one suite with a case per student.

    Args:
        rows: As in ``verdict.json``. A rung that is not verified counts as an error; one that does not apply, or that a
            policy excuses, as skipped.
        regressions: Changes for the worse since a baseline: a failed test case each.
        students: As under ``students`` in ``summary.json``. One that a policy has requirements on and that cannot be
            judged counts as an error, without a policy as skipped.
        origins: The signer of a bundle, by its name: a property of its suites.
        evidence: The evidence supplied: another property of them.
        missing: The reason why a policy's requirement of evidence is not met where there is none: an error.
    """
    root = ElementTree.Element("testsuites", name="hetero verify")
    suites: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        suites.setdefault(f"{row['bundle']} on {row['target']}", []).append(row)
    for name, cases in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", _counts(cases), name=_text(name))
        told = {"signature": (origins or {}).get(cases[0]["bundle"], ""), "your evidence": evidence}
        if any(told.values()):
            properties = ElementTree.SubElement(suite, "properties")
            for property, value in told.items():
                if value:
                    ElementTree.SubElement(properties, "property", name=property, value=_text(value))
        for row in cases:
            place = f"{row['bundle']}.{row['target']}.{row['format']}.{row['precision']}"
            _case(suite, place, row["rung"], row)
    if students:
        suite = ElementTree.SubElement(root, "testsuite", _counts(students), name="student")
        for student in students:
            _case(suite, f"{student['bundle']}.student", "good enough for this gallery", student)
    worse = [{"status": "fail", "reason": regression, "figures": {}} for regression in regressions]
    if worse:
        suite = ElementTree.SubElement(root, "testsuite", _counts(worse), name="baseline")
        for number, row in enumerate(worse, 1):
            _case(suite, "baseline", f"regression {number}", row)
    unmet = [{"status": "not verified", "reason": missing, "figures": {}}] if missing else []
    if unmet:
        suite = ElementTree.SubElement(root, "testsuite", _counts(unmet), name="evidence")
        _case(suite, "evidence", "your evidence", unmet[0])
    root.attrib.update(_counts([*rows, *students, *worse, *unmet]))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, place: str, name: str, row: Mapping[str, Any]) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_text(place), name=_text(name))
    if kind := _kind(row):
        told = row["reason"] if row["status"] == "fail" else f"{row['status']}: {row['reason']}"
        excused = f"excused: {row['excused']}; " if row.get("excused") else ""
        ElementTree.SubElement(case, kind, message=_text(excused + told))
    if row["figures"]:
        lines = [f"{name} = {value}" for name, value in sorted(row["figures"].items())]
        ElementTree.SubElement(case, "system-out").text = _text("\n".join(lines))


def _kind(row: Mapping[str, Any]) -> str:
    if row["status"] == "pass":
        return ""
    if row.get("excused") or row["status"] == "n/a":
        return "skipped"
    if row["status"] == "fail":
        return "failure"
    return "error" if row.get("asked", True) else "skipped"


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
