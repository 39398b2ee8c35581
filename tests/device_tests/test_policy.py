"""Gates from a file, exceptions with a reason and a last day, and baselines."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pytest

from device_tests.checks.gates import Gates
from device_tests.checks.quality import QualityGates
from device_tests.ladder.baseline import compare
from device_tests.ladder.verify import verify
from device_tests.verdict.policy import Policy, policy_called
from device_tests.verdict.verdict import Row
from hetero.errors import InputError
from hetero.files import read_json, write_json
from tests.device_tests.tiny_bundle import write_bundle

EXAMPLE = """
[gates]
floor = 0.4
largest_loss = 0.02
require = ["onnx"]

[targets.phone-armv7]
largest_loss = 0.05

[[exceptions]]
target = "desktop"
format = "litert"
rung = "parity"
reason = "the converter is being mended"
expires = {day}
"""


def policy(tmp_path: Path, text: str) -> Policy:
    (tmp_path / "policy.toml").write_text(text)
    return Policy.load(tmp_path / "policy.toml")


def test_limits_and_those_of_a_target(tmp_path: Path) -> None:
    found = policy(tmp_path, EXAMPLE.format(day="2030-01-31"))
    assert found.gates == Gates(floor=0.4, largest_loss=0.02, require=("onnx",))
    assert found.gates_of("phone-armv7").largest_loss == 0.05
    assert found.gates_of("phone-armv7").floor == 0.4
    assert found.overridden(floor=0.9).gates_of("phone-armv7").floor == 0.9


def test_an_exception_counts_until_its_last_day(tmp_path: Path) -> None:
    found = policy(tmp_path, EXAMPLE.format(day="2030-01-31"))
    row = ("any", "desktop", "litert", "fp32", "parity")
    assert "being mended (until 2030-01-31)" in found.excuse(row, datetime.date(2030, 1, 31))
    assert found.excuse(row, datetime.date(2030, 2, 1)) == ""
    assert "expired on 2030-01-31" in found.expired(row, datetime.date(2030, 2, 1))
    for other in (("any", "browser", *row[2:]), (*row[:2], "onnx", *row[3:]), (*row[:4], "retrieval")):
        assert found.excuse(other, datetime.date(2030, 1, 1)) == ""


def test_what_the_student_must_reach(tmp_path: Path) -> None:
    found = policy(tmp_path, "[student]\nshare = 0.9\nabove_chance = true")
    assert found.student == QualityGates(share=0.9, above_chance=True)
    assert found.overridden(floor=0.9).student == found.student
    assert not policy(tmp_path, "[gates]\nfloor = 0.1").student.ask


def test_the_policy_that_comes_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy_called("release").student == QualityGates(share=0.85, below_own=0.02, above_chance=True)
    assert policy_called("release").gates == Gates(text_loss=0.03)
    (tmp_path / "mine.toml").write_text("[student]\nshare = 0.9")
    monkeypatch.chdir(tmp_path)
    assert policy_called("mine.toml").student.share == 0.9
    with pytest.raises(InputError, match="expected a policy, release or a TOML file, found no mine"):
        policy_called("mine")


def test_a_student_may_be_excused_until_a_day(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",), useless=True)
    text = """
    [student]
    share = 0.85
    [[exceptions]]
    rung = "student"
    reason = "a first trial with ten users"
    expires = {day}
    """
    verdict = verify([bundle], ["desktop"], tmp_path / "out", policy(tmp_path, text.format(day="2999-01-01")))
    assert (verdict.exit_code, verdict.students[0].status) == (0, "fail")
    assert "the student of tiny: a first trial with ten users (until 2999-01-01)" in verdict.table()
    assert "fail (excused)" in verdict.table()
    late = verify([bundle], ["desktop"], tmp_path / "out", policy(tmp_path, text.format(day="2020-01-01")))
    assert late.exit_code == 1
    assert "expired on 2020-01-01" in late.students[0].reason
    of_a_file = text.format(day="2999-01-01") + '\n    format = "onnx"'
    assert verify([bundle], ["desktop"], tmp_path / "out", policy(tmp_path, of_a_file)).exit_code == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[student]\nshares = 1", "student: unknown key 'shares'"),
        ("[student]\nshare = 2.0", "share: expected a number between 0 and 1"),
        ("[gates", "is not a TOML file"),
        ("[gates]\nflour = 1", "unknown key 'flour'"),
        ("[gates]\nfloor = 'x'", "floor"),
        ("[gates]\nfloor = 2.0", "expected 0 to 1"),
        ("[other]", "unknown key"),
        ("[[exceptions]]\nrung = 'parity'\nexpires = 2030-01-01", "reason: missing"),
        ("[[exceptions]]\nrung = 'x'\nreason = ' '\nexpires = 2030-01-01", "unknown rung"),
        ("[[exceptions]]\nrung = 'parity'\nreason = 'r'\nexpires = 'soon'", "expires"),
    ],
)
def test_wrong_policies_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        policy(tmp_path, text)


def test_an_excused_failure_does_not_fail_and_an_expired_one_does(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("litert",), model_seed=5)
    excuses = """
    [[exceptions]]
    rung = "parity"
    reason = "known"
    expires = {day}
    [[exceptions]]
    rung = "retrieval"
    reason = "known"
    expires = 2999-01-01
    """
    verdict = verify([bundle], ["desktop"], tmp_path / "out", policy(tmp_path, excuses.format(day="2999-01-01")))
    assert verdict.exit_code == 0
    assert "2 excused" in verdict.headline
    statuses = {row.rung: (row.status, bool(row.excused)) for row in verdict.rows}
    assert statuses["parity"] == ("fail", True)
    assert "fail (excused)" in (tmp_path / "out" / "summary.md").read_text()
    late = verify([bundle], ["desktop"], tmp_path / "out", policy(tmp_path, excuses.format(day="2020-01-01")))
    assert late.exit_code == 1
    assert "expired on 2020-01-01" in late.table()


def test_the_same_again_moves_nothing(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    verify([bundle], ["desktop"], tmp_path / "old")
    verdict = verify([bundle], ["desktop"], tmp_path / "new", baseline=tmp_path / "old" / "verdict.json")
    assert verdict.exit_code == 0
    assert verdict.about["moves"] == []


def test_a_fall_beyond_chance_fails_even_within_the_gates(tmp_path: Path) -> None:
    good, bad = (
        write_bundle(tmp_path / name, formats=("onnx",), model_seed=seed) for name, seed in (("g", 0), ("b", 5))
    )
    wide = Gates(largest_loss=1.0, parity=2.0)
    verify([good], ["desktop"], tmp_path / "old", wide)
    verdict = verify([bad], ["desktop"], tmp_path / "new", wide, baseline=tmp_path / "old" / "verdict.json")
    # Golden images would have to be opposite to each other to tell models apart where so much drift is allowed.
    assert {row.rung for row in verdict.rows if row.status != "pass"} == {"parity"}
    assert {row.status for row in verdict.rows} == {"pass", "not verified"}
    assert verdict.exit_code == 1
    assert "cmc@1" in verdict.regressions[0] and "paired" in verdict.regressions[0]
    assert "worse than the baseline" in verdict.headline
    back = verify([good], ["desktop"], tmp_path / "old2", baseline=tmp_path / "new" / "verdict.json")
    assert back.exit_code == 0
    assert any(move["what"] == "cmc@1" for move in back.about["moves"])


def figures_row(cmc: float, status: str = "pass") -> Row:
    return Row("b", "t", "onnx", "fp32", "retrieval", status, "", {"cmc@1": cmc, "queries": 400})  # type: ignore[arg-type]


def test_without_embeddings_the_numbers_of_queries_decide(tmp_path: Path) -> None:
    """Of 400 queries each, 0.80 to 0.78 is within chance (half width 0.056) and 0.80 to 0.70 is not (0.060)."""
    write_json(tmp_path / "verdict.json", [figures_row(0.8).to_dict()])
    moved = {
        now: [m for m in compare([figures_row(now)], tmp_path / "verdict.json", tmp_path, {}) if m.regression]
        for now in (0.78, 0.70)
    }
    assert moved[0.78] == []
    assert "fell by 0.04" in moved[0.70][0].note


def test_a_rung_that_passed_and_does_not_and_one_that_is_gone(tmp_path: Path) -> None:
    old = [figures_row(0.8).to_dict(), figures_row(0.8).to_dict() | {"target": "gone"}]
    write_json(tmp_path / "verdict.json", old)
    moves = compare([figures_row(0.8, "not verified")], tmp_path / "verdict.json", tmp_path, {})
    assert [(move.where[1], move.before, move.now, move.regression) for move in moves] == [
        ("t", "pass", "not verified", True),
        ("gone", "pass", "gone", True),
    ]


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}', '[{"bundle": 1}]'])
def test_a_baseline_that_is_no_verdict_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "verdict.json").write_text(content)
    with pytest.raises(InputError, match=r"is not a verdict\.json"):
        compare([], tmp_path / "verdict.json", tmp_path, {})
    with pytest.raises(InputError, match="found none"):
        compare([], tmp_path / "none.json", tmp_path, {})


def test_what_is_written_is_json(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    verify([bundle], ["desktop"], tmp_path / "out")
    assert json.dumps(read_json(tmp_path / "out" / "summary.json"))
    assert np.all([row["excused"] == "" for row in read_json(tmp_path / "out" / "verdict.json")])
