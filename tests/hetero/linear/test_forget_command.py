"""``hetero forget`` as a user meets it: what it writes and prints, its exit status, one message for each mistake."""

from __future__ import annotations

import json
import shutil

import pytest

from hetero.linear.deletion.forgetting import Forgetting
from hetero.linear.measure import Adaptation
from hetero.models.directory import load_model
from tests.hetero.linear.domains import adapted, called, write_place


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = write_place(tmp_path_factory.mktemp("place"), new=2, photos=0)
    with pytest.MonkeyPatch.context() as patch:
        assert adapted(folder, patch, "--most-flips", "1") == 0
    return folder


@pytest.fixture
def place(made, monkeypatch, tmp_path):
    # Elsewhere than it was adapted from.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", str(made / "cache"))
    (tmp_path / "names.txt").write_text("train/a/0.png\ntrain/b/3.png\r\n\n")
    return made


def run(directory, *further: str, names: str = "names.txt", out: str = "v3") -> int:
    return called("forget", str(directory), names, "--out", out, *further)


def test_it_writes_the_model_and_says_what_it_does_not_forget(place, tmp_path, capsys):
    assert run(place / "v2") == 0
    proof = Forgetting.load(tmp_path / "v3" / "forget.json")
    printed = capsys.readouterr()
    assert "2 photos forgotten, 34 left, by dual" in printed.out and f"at most {proof.outputs:.1e}" in printed.out
    assert "not forgotten: what the model was trained on before it was adapted" in printed.out
    assert f"{Adaptation.load(tmp_path / 'v3' / 'adapt.json').new.after:.3f} now" in printed.out
    assert "keeps the space" in printed.err
    assert load_model(tmp_path / "v3").space == load_model(place / "v1").space


def test_one_with_anchors_is_solved_anew_and_refused_after_too_few_steps_from_the_present(place, tmp_path, capsys):
    places = json.loads((place / "v2" / "learnt.json").read_text())["places"]
    lie = {name: places[name]["path"] for name in ("data", "anchors")} | {"gallery": places["gallery"]}
    given = [word for name, path in lie.items() for word in (f"--{name}", path)]
    assert called("adapt", places["model"], *given, "--part", "neck", "--most-flips", "1", "--out", "v2") == 0
    capsys.readouterr()
    assert run(tmp_path / "v2", out="anew") == 0
    assert "2 photos forgotten, 34 left, solved anew from these alone: " in capsys.readouterr().out
    assert run(tmp_path / "v2", "--steps", "1") == 1
    printed = capsys.readouterr()
    assert "by conjugate gradients" in printed.out and "refused: no model was written" in printed.err
    assert "from those of a model that never saw the photos" in printed.err
    assert not (tmp_path / "v3" / "config.json").exists()


def test_what_moved_is_named_anew(place, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(place, moved)
    record = json.loads((moved / "v2" / "learnt.json").read_text())
    assert record["places"]["data"]["path"] == str((place / "new").resolve())
    record["places"] = None
    (moved / "v2" / "learnt.json").write_text(json.dumps(record))
    assert run(moved / "v2", "--model", "moved/v1", "--data", "moved/new") == 2
    assert "adapted from Python; give --gallery, --anchors" in capsys.readouterr().err
    options = ("--model", "moved/v1", "--data", "moved/new", "--gallery", "moved/old.safetensors")
    assert run(moved / "v2", *options, "--anchors", "moved/photos") == 0
    written = json.loads((tmp_path / "v3" / "learnt.json").read_text())
    assert written["places"]["data"]["path"] == str((moved / "new").resolve())


def test_each_mistake_is_told_before_a_photo_is_decoded(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "untouched"))
    (tmp_path / "strangers.txt").write_text("train/a/0.png\nnobody\n")
    (tmp_path / "empty.txt").write_text("\n")
    whole = json.loads((place / "v2" / "learnt.json").read_text())["photos"]
    (tmp_path / "all.txt").write_text("\n".join(whole))
    for arguments, message in (
        ({"names": "strangers.txt"}, "1 of 2 names are of no photo"),
        ({"names": "empty.txt"}, "expected names of photos"),
        ({"names": "all.txt"}, "all 36 photos would be forgotten"),
        ({"names": "nowhere.txt"}, "expected a file of names"),
        ({"out": str(place / "v2")}, "holds a model already"),
    ):
        assert run(place / "v2", **arguments) == 2
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
    assert run(place / "v1") == 2
    assert "does not say what was learnt from" in capsys.readouterr().err
    assert not (tmp_path / "untouched").exists() and not (tmp_path / "v3").exists()
