"""``hetero adapt`` as a user meets it: what it writes and prints, its exit status, one message for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetero.data.embeddings.file import save_embeddings
from hetero.linear.measure import Adaptation
from hetero.models import directory
from hetero.models.directory import load_model
from hetero.space import EmbeddingSpace
from tests.hetero.linear.domains import called, gallery, write_place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return write_place(tmp_path_factory.mktemp("place"), new=2, harsh=3, photos=0)


@pytest.fixture(autouse=True)
def cached(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))


def run(*further: str, **options: str) -> int:
    given = {"data": "new", "gallery": "old.safetensors", "anchors": "photos", "out": "v2"} | options
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return called("adapt", "v1", *words, *further)


def test_it_writes_the_model_and_says_what_it_cost(place, capsys):
    assert run("--part", "neck", "--steps", "10") == 0
    measured = Adaptation.load(place / "v2" / "adapt.json")
    printed = capsys.readouterr()
    assert f"{measured.new.before:.3f} before, {measured.new.after:.3f} now" in printed.out
    assert f"old queries right before and wrong now: {measured.flips.value:.3f}" in printed.out
    assert f"as a linear model, new queries find {measured.linear:.3f}" in printed.out
    assert "keeps the space" in printed.err
    assert load_model(place / "v2").space == load_model(place / "v1").space


def test_a_harsh_shift_is_refused_with_its_figures(place, capsys):
    options = ("--part", "neck", "--anchor-weight", "0", "--ridge", "0.01")
    assert run(*options, data="harsh", out="refused") == 1
    printed = capsys.readouterr()
    assert "refused: no model was written, since" in printed.err and "answered wrong that were answered" in printed.err
    assert "new queries in the old gallery" in printed.out
    assert Adaptation.load(place / "refused" / "adapt.json").refusals
    assert not (place / "refused" / "config.json").exists()


@pytest.mark.parametrize(
    ("further", "options", "messages"),
    [
        ((), {"data": "nowhere", "anchors": "nothing"}, ("--data: ", "--anchors: ")),
        ((), {"gallery": "nowhere.safetensors"}, ("expected a file of embeddings",)),
        ((), {"out": "v1"}, ("holds a model already",)),
        (("--ridge", "-1"), {}, ("ridges.0: expected a number above 0",)),
        (("--most-flips", "2"), {}, ("most_flips: expected at most 1",)),
        (("--part", "head"), {}, ("last-stage",)),
        (("--labels", "labels.csv"), {}, ("labels.csv has no label for 1 of 24 images",)),
        ((), {"gallery": "stranger.safetensors"}, ("the model v1 and the gallery hold vectors of different",)),
    ],
)
def test_each_mistake_is_told_before_a_photo_is_decoded(place, monkeypatch, capsys, further, options, messages):
    stored = gallery(load_model(place / "v1"))
    rows = [f"{label},{name}" for label, name in zip(stored.classes, stored.names, strict=True)][1:]
    (place / "labels.csv").write_text("\n".join(["label,name", *rows]))
    other = EmbeddingSpace.define(defined_by="other", name="other", version="1", dimension=16)
    save_embeddings(place / "stranger.safetensors", stored.vectors, stored.names, other)
    monkeypatch.setenv("HETERO_CACHE", str(place / "untouched"))
    assert run(*further, **({"out": "v3"} | options)) == 2
    error = capsys.readouterr().err
    assert all(message in error for message in messages), error
    assert "Traceback" not in error
    assert not (place / "untouched").exists() and not (place / "v3").exists()


def test_a_student_tuned_for_int8_is_refused(place, capsys):
    metrics = place / "v1" / "metrics.json"
    metrics.write_text(json.dumps({"tuned_for": "int8"}))
    assert run(out="v3") == 2
    metrics.write_text("{}")
    assert "was fine-tuned for int8" in capsys.readouterr().err


def test_the_model_is_loaded_once(place, monkeypatch):
    loaded: list[Path] = []
    load = directory._load

    def noted(path: Path) -> object:
        loaded.append(path)
        return load(path)

    monkeypatch.setattr(directory, "_load", noted)
    assert run("--part", "neck", "--steps", "1", "--most-flips", "1", out="once") in (0, 1)
    assert loaded == [Path("v1")]
