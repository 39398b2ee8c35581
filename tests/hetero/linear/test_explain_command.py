"""``hetero explain`` as a user meets it."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("v1",), "does not say what was learnt from"),
        (("v2", "--data", "nowhere"), "--data: "),
        (("v2", "--data", "photos"), "36 photos have other pixels or another class"),
        (("v2", "--model", "nowhere"), "expected a model directory"),
    ],
)
def test_each_mistake_is_told(place, tmp_path, capsys, words, message):
    directory, *options = (str(place / word) if word in ("v1", "v2", "photos") else word for word in words)
    assert called("explain", directory, *options, "--out", "flips.html") == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and not (tmp_path / "flips.html").exists()
