from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from device_tests.checks.quality import Quality
from device_tests.verdict.headline import FILES, STUDENT, files_headline, student_headline
from device_tests.verdict.verdict import Row, Verdict
from hetero.files import read_json

FIGURES = {
    "cmc@1": 0.1, "cmc@1_low": 0.05, "cmc@1_high": 0.15, "cmc@1_cloud": 0.217, "share_of_cloud": 0.46,
    "share_of_cloud_low": 0.3, "share_of_cloud_high": 0.6, "cmc@1_own_gallery": 0.2, "above_own_gallery": -0.1,
    "above_own_gallery_low": -0.2, "above_own_gallery_high": -0.05, "rule": "fails", "chance": 0.01, "queries": 60,
    "tasks": 1,
}  # fmt: skip


def row(status: str, rung: str = "loads", *, excused: str = "", reason: str = "") -> Row:
    return Row("edge", "desktop", "onnx", "fp32", rung, status, reason, {"load_ms": 1.5}, excused)  # type: ignore[arg-type]


def student(status: str, *, asked: bool = True, excused: str = "", reason: str = "") -> Quality:
    return Quality("edge", status, reason, FIGURES, asked, excused)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row("pass")], 0),
        ([row("pass"), row("fail")], 1),
        ([row("pass"), row("not verified")], 3),
        ([row("pass"), row("n/a")], 0),
        ([row("fail"), row("not verified")], 1),
        ([row("fail"), row("n/a")], 1),
        ([row("n/a")], 3),
        ([row("pass"), row("fail", excused="known")], 0),
        ([row("pass"), row("not verified", excused="known")], 0),
        ([], 3),
    ],
)
def test_exit_codes(rows: list[Row], code: int) -> None:
    assert Verdict(tuple(rows)).exit_code == code


@pytest.mark.parametrize(
    ("found", "code", "answer"),
    [
        (student("pass"), 0, "pass"),
        (student("fail"), 1, "fail"),
        (student("not judged"), 3, "not judged"),
        (student("not judged", asked=False), 0, "not judged"),
        (student("fail", excused="known"), 0, "pass"),
        (student("not judged", excused="known"), 0, "pass"),
    ],
)
def test_a_student_counts_once_a_policy_asks(found: Quality, code: int, answer: str) -> None:
    verdict = Verdict((row("pass"),), students=(found,))
    assert verdict.exit_code == code
    assert [headline.answer for headline in verdict.headlines] == ["pass", answer]
    assert Verdict((row("fail"),), students=(found,)).exit_code == 1


def test_two_headlines_with_figures() -> None:
    verdict = Verdict((row("pass"), row("n/a", "parity")), students=(student("not judged", asked=False),))
    assert verdict.headline.splitlines() == [
        f"{FILES}: PASS (1 pass, 0 fail, 0 not verified, 1 n/a)",
        f"{STUDENT}: NOT JUDGED (edge: cmc@1 0.100 in the cloud's gallery, 46.0 % [30.0, 60.0] of the cloud's own "
        "0.217; chance is 0.01)",
    ]


def test_a_student_that_passes_says_why_its_own_gallery_would_be_better() -> None:
    told = {**FIGURES, "rule_reason": "the cloud leads by little"}
    judged = Quality("edge", "pass", "", told, True)
    verdict = Verdict((row("pass"),), students=(judged,))
    assert "M(q, g) > M(q, q) does not hold for edge: the cloud leads by little" in verdict.table()
    without = Verdict((row("pass"),), students=(student("pass"),))
    assert "does not hold" not in without.table()


def test_what_a_gallery_by_the_student_keeps_is_told() -> None:
    ends = {"share_of_cloud": 0.97, "share_of_cloud_low": 0.9, "share_of_cloud_high": 1.01}
    figures = {**FIGURES, **{f"as_gallery_{name}": value for name, value in ends.items()}}
    both = {**figures, **{f"texts_{name}": value - 0.1 for name, value in ends.items()}, "as_gallery_cmc@1": 0.2}
    table = Verdict((row("pass"),), students=(Quality("edge", "pass", "", both, True),)).table()
    assert (
        "A gallery that edge embeds keeps 97.0 % [90.0, 101.0] of the cloud's own cmc@1 of image queries and "
        "87.0 % [80.0, 91.0] of the cloud's own cmc@1 of text queries"
    ) in table
    assert "of text queries" not in Verdict((row("pass"),), students=(Quality("edge", "pass", "", figures),)).table()


def test_everything_is_verified_only_where_nothing_is_left_open() -> None:
    everything = "Everything that was asked for was verified"
    for rows, said in (
        ([row("pass"), row("n/a")], True),
        ([row("pass"), row("not verified")], False),
        ([row("pass"), row("not verified", excused="known")], False),
        ([row("pass"), row("fail", excused="known")], False),
        ([row("n/a")], False),
    ):
        assert (everything in files_headline([one.to_dict() for one in rows]).sentence) is said
    assert everything not in files_headline([row("pass").to_dict()], ["cmc@1 fell"]).sentence


def test_one_student_that_falls_short_is_enough() -> None:
    found = [student("pass"), student("fail"), student("not judged", asked=False)]
    assert student_headline([one.to_dict() for one in found]).answer == "fail"
    assert student_headline([]).answer == "not judged"


def test_files(tmp_path: Path) -> None:
    rows = (
        row("pass"),
        row("fail", "parity", reason="too <far> & \x00 \x1b[31m off"),
        row("not verified", "retrieval", reason="why"),
        row("n/a", "cost", reason="nothing runs it"),
    )
    verdict = Verdict(rows, {"targets": {}}, students=(student("not judged", asked=False, reason="no policy"),))
    verdict.save(tmp_path)
    kept = read_json(tmp_path / "verdict.json")
    assert [item["status"] for item in kept] == ["pass", "fail", "not verified", "n/a"]
    keys = {"bundle", "target", "format", "precision", "rung", "status", "reason", "figures", "excused"}
    assert set(kept[0]) == keys
    summary = read_json(tmp_path / "summary.json")
    assert (summary["schema"], summary["exit_code"]) == ("hetero/verification/2", 1)
    answers = [(one["claim"], one["answer"]) for one in summary["headlines"]]
    assert answers == [(FILES, "fail"), (STUDENT, "not judged")]
    assert summary["headlines"][0]["line"] == f"{FILES}: FAIL (1 pass, 1 fail, 1 not verified, 1 n/a)"
    assert summary["students"] == [student("not judged", asked=False, reason="no policy").to_dict()]


def test_junit(tmp_path: Path) -> None:
    rows = (
        row("pass"),
        row("fail", "parity", reason="too <far> & \x00 \x1b[31m off"),
        row("not verified", "retrieval", reason="why"),
        row("n/a", "cost", reason="nothing runs it"),
    )
    found = (student("not judged", asked=False, reason="no policy"), student("fail", reason="short"), student("pass"))
    Verdict(rows, {"targets": {}}, ("cmc@1 fell",), found).save(tmp_path)
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    suites = [{name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} for suite in (root, *root)]
    assert [tuple(suite.values()) for suite in suites] == [
        ("8", "3", "1", "2"), ("4", "1", "1", "1"), ("3", "1", "0", "1"), ("1", "1", "0", "0"),
    ]  # fmt: skip
    assert [[child.tag for child in case] for case in root[0]] == [
        ["system-out"], ["failure", "system-out"], ["error", "system-out"], ["skipped", "system-out"],
    ]  # fmt: skip
    message = root[0][1][0].get("message")
    assert message is not None and message.startswith("too <far> & ")
    assert root[0][3][0].get("message") == "n/a: nothing runs it"
    assert [root[1][place][0].get("message") for place in (0, 1)] == ["not judged: no policy", "short"]


def test_markdown(tmp_path: Path) -> None:
    rows = (row("pass"), row("n/a", "cost", reason="nothing runs it"))
    Verdict(rows, students=(student("fail", reason="it falls short"),)).save(tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith(f"## {FILES}: ✅ pass\n\n1 pass, 0 fail, 0 not verified, 1 n/a\n\n## {STUDENT}: ❌ fail\n")
    assert "| edge | 0.100 | 0.217 | 46.0 % [30.0, 60.0] | 0.200 | 0.010 | ❌ fail |" in text
    assert "**Failed**\n\n- the student of edge: it falls short\n" in text
    assert "**Not applicable**\n\n- onnx on desktop: nothing runs it\n" in text
    assert "Not verified" not in text


EVIL = "\x1b]0;pwn\x07\x1b[2K\rPASS: 10 pass\n## PASS\u202e<script>alert(1)</script>![x](http://evil/x.png)|a|"


def test_what_others_wrote_is_text_in_every_file_and_on_the_terminal(tmp_path: Path) -> None:
    verdict = Verdict((row("fail", reason=EVIL),), regressions=(EVIL,), students=(student("fail", reason=EVIL),))
    verdict.save(tmp_path)
    markdown = (tmp_path / "summary.md").read_text()
    for told in (markdown, (tmp_path / "junit.xml").read_text(), verdict.table()):
        assert "10 pass" in told
        assert not {"\x1b", "\x07", "\r"} & set(told)
        assert not any(line.startswith(("PASS", "## PASS")) for line in told.splitlines())
    assert "<script" not in markdown and "](http" not in markdown and "\u202e" not in markdown + verdict.table()
    ElementTree.parse(tmp_path / "junit.xml")


def test_table_tells_every_reason_once() -> None:
    rows = tuple(row("not verified", rung, reason="no such thing") for rung in ("loads", "parity", "retrieval", "cost"))
    text = Verdict(rows, students=(student("fail", reason="short"),)).table()
    assert text.count("no such thing") == 1
    assert "edge    desktop  onnx" in text
    assert "fail: the student of edge: short" in text
