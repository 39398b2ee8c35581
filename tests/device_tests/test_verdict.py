from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from device_tests.verdict import Row, Verdict
from hetero.files import read_json


def row(status: str, rung: str = "loads", *, asked: bool = True, reason: str = "") -> Row:
    return Row("edge", "desktop", "onnx", "fp32", rung, status, reason, {"load_ms": 1.5}, asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row("pass")], 0),
        ([row("pass"), row("fail")], 1),
        ([row("pass"), row("not verified")], 3),
        ([row("pass"), row("not verified", asked=False)], 0),
        ([row("fail"), row("not verified")], 1),
        ([row("not verified", asked=False)], 3),
        ([], 3),
    ],
)
def test_exit_codes(rows: list[Row], code: int) -> None:
    assert Verdict(tuple(rows)).exit_code == code


def test_files(tmp_path: Path) -> None:
    rows = (
        row("pass"),
        row("fail", "parity", reason="too <far> & \x00 \x1b[31m off"),
        row("not verified", "retrieval", reason="why"),
        row("not verified", "cost", asked=False, reason="not asked"),
    )
    verdict = Verdict(rows, {"targets": {}})
    verdict.save(tmp_path)
    kept = read_json(tmp_path / "verdict.json")
    assert [item["status"] for item in kept] == ["pass", "fail", "not verified", "not verified"]
    keys = {"bundle", "target", "format", "precision", "rung", "status", "reason", "figures", "asked", "excused"}
    assert set(kept[0]) == keys
    summary = read_json(tmp_path / "summary.json")
    assert (summary["exit_code"], summary["headline"]) == (1, "FAIL: 1 pass, 1 fail, 2 not verified")
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert [[child.tag for child in case] for case in suite] == [
        ["system-out"], ["failure", "system-out"], ["error", "system-out"], ["skipped", "system-out"],
    ]  # fmt: skip
    message = suite[1][0].get("message")
    assert message is not None and message.startswith("too <far> & ")


def test_table_tells_every_reason_once() -> None:
    rows = tuple(row("not verified", rung, reason="no such thing") for rung in ("loads", "parity", "retrieval", "cost"))
    text = Verdict(rows).table()
    assert text.count("no such thing") == 1
    assert "edge    desktop  onnx" in text
