"""``hetero explain`` as a user meets it."""

from __future__ import annotations

import pytest

from hetero.evaluation.decisions import Decisions
from hetero.linear.learnt import Learnt
from tests.hetero.linear.domains import adapted, called, write_place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = write_place(tmp_path_factory.mktemp("place"), new=3, photos=0)
    with pytest.MonkeyPatch.context() as patch:
        assert adapted(folder, patch, "--ridge", "0.01") == 1
    return folder


@pytest.fixture(autouse=True)
def elsewhere(place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))


def test_it_writes_the_page_and_names_the_photos(place, tmp_path, capsys):
    assert called("explain", str(place / "v2"), "--out", "flips.html", "--most", "2") == 0
    printed = capsys.readouterr()
    assert "test queries were right before and are wrong now" in printed.out and "dual" in printed.out
    named = [name for name in Learnt.load(place / "v2").photos if name in printed.out]
    assert len(named) >= 5 and "the page: flips.html" in printed.err and "warning" not in printed.err
    text = (tmp_path / "flips.html").read_text()
    assert text.count("<h3>the photos that did it</h3>") == 2 and all(name in text for name in named)
    assert "Which photos did it: v2" in text


def test_it_explains_the_flips_between_two_files(place, tmp_path, capsys):
    answers = {f"test/{label}/{row}.png": True for label in "ab" for row in (0, 1)}
    Decisions({"old": answers}).save(tmp_path / "old.json")
    Decisions({"old": answers | {"test/b/1.png": False}}).save(tmp_path / "new.json")
    options = ("--out", "flips.html", "--flips", "old.json", "new.json")
    assert called("explain", str(place / "v2"), *options) == 0
    assert "1 test queries were right before and are wrong now" in capsys.readouterr().out
    text = (tmp_path / "flips.html").read_text()
    assert text.count("<h3>the photos that did it</h3>") == 1 and "<h2>test/b/1.png</h2>" in text
    Decisions({"old": answers | {"nobody": True}}).save(tmp_path / "old.json")
    assert called("explain", str(place / "v2"), *options) == 2
    assert "1 queries are on one side only, for instance nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("v1",), "does not say what was learnt from"),
        (("v2", "--data", "nowhere"), "--data: "),
        (("v2", "--data", "photos"), "36 photos have other pixels or another class"),
        (("v2", "--model", "nowhere"), "expected a model directory"),
        (("v2", "--flips", "nowhere", "new.json"), "expected a file of decisions"),
    ],
)
def test_each_mistake_is_told(place, tmp_path, capsys, words, message):
    directory, *options = (str(place / word) if word in ("v1", "v2", "photos") else word for word in words)
    assert called("explain", directory, *options, "--out", "flips.html") == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and not (tmp_path / "flips.html").exists()
