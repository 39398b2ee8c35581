"""Adapting where the old photos are gone: their factors hold the model, a few photos that are left measure it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from hetero.errors import InputError
from hetero.linear import Adaptation, AdaptConfig, adapt, explain, forget, write_anchor_factors
from hetero.linear.learnt import Learnt
from tests.hetero.linear.domains import called, domain, gallery, model, write_place

CONFIG = AdaptConfig(part="neck", steps=10, most_flips=1.0, most_lost=1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anchoring")
    stored = gallery(model(folder / "v1"))
    write_anchor_factors(folder / "v1", domain("old"), folder / "anchors.safetensors", "neck")
    return folder, stored


def left() -> object:
    """The old domain without most of its training photos."""
    old = domain("old")
    return dataclasses.replace(old, train=old.validation, validation=old.test)


def test_factors_hold_the_old_domain_without_its_photos(place):
    folder, stored = place
    new, factors = domain("new", 3), folder / "anchors.safetensors"
    free = dataclasses.replace(CONFIG, anchor_weight=0.0)
    held = adapt(folder / "v1", new, left(), stored, folder / "held", CONFIG, anchor_factors=factors)
    loose = adapt(folder / "v1", new, left(), stored, folder / "loose", free, anchor_factors=factors)
    assert held.by_factors and held.anchors == len(domain("old").train) == 36
    assert not loose.by_factors and loose.anchors == 0
    assert held.flips.value < loose.flips.value - 0.1
    assert Adaptation.load(folder / "held" / "adapt.json") == held


def test_what_was_held_by_factors_is_forgotten_and_explained_with_them(place):
    folder, stored = place
    given = domain("new", 3), left(), stored
    factors = folder / "anchors.safetensors"
    adapt(folder / "v1", *given, folder / "v2", CONFIG, anchor_factors=factors)
    gone = given[0].train.names[:3]
    base, out = folder / "v1", folder / "v3"
    proof, measured = forget(folder / "v2", gone, base, *given, out, anchor_factors=factors, steps=500)
    assert proof.outputs <= 1e-3 and proof.left == 33 and measured.by_factors and measured.anchors == 36
    seen = explain(folder / "v3", folder / "v1", *given, most=1, anchor_factors=factors)
    assert seen.method == "conjugate gradients" and seen.suspects
    with pytest.raises(InputError, match="the anchors: others"):
        explain(folder / "v3", folder / "v1", *given)
    assert Learnt.load(folder / "v3").anchors == Learnt.load(folder / "v2").anchors


def test_factors_of_another_part_or_model_are_refused(place, tmp_path):
    folder, stored = place
    given = domain("new", 2), left(), stored, tmp_path / "out"
    whole = dataclasses.replace(CONFIG, part="all")
    with pytest.raises(InputError, match="of other weights, or of another part"):
        adapt(folder / "v1", *given, whole, anchor_factors=folder / "anchors.safetensors")
    shutil.copytree(folder / "v1", tmp_path / "tuned")
    (tmp_path / "tuned" / "metrics.json").write_text(json.dumps({"tuned_for": "int8"}))
    with pytest.raises(InputError, match="was fine-tuned for int8"):
        write_anchor_factors(tmp_path / "tuned", domain("old"), tmp_path / "anchors.safetensors", "neck")
    assert not (tmp_path / "out").exists()


def test_the_commands(tmp_path, monkeypatch, capsys):
    write_place(tmp_path, new=2, photos=0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", "cache")
    given = ("--data", "new", "--gallery", "old.safetensors")
    further = ("--part", "neck", "--steps", "10", "--most-flips", "1", "--out", "v2")
    assert called("anchor-factors", "v1", "photos", "anchors.safetensors", "--part", "neck") == 0
    assert "the factors of 36 photos: anchors.safetensors" in capsys.readouterr().err

    for wrong, message in (
        ((), "expected the old domain: either --anchors"),
        (("--anchors", "photos", "--anchor-factors", "anchors.safetensors"), "expected the old domain: either"),
        (("--anchors", "photos", "--old-photos", "photos"), "expected the old domain: either"),
        (("--old-photos", "photos"), "expected the old domain: either"),
        (("--anchor-factors", "anchors.safetensors"), "needs --old-photos, too"),
        (("--anchor-factors", "none", "--old-photos", "photos"), "a file of anchors' factors at"),
        (("--anchor-factors", "anchors.safetensors", "--old-photos", "none"), "--old-photos: "),
    ):
        assert called("adapt", "v1", *given, *wrong, *further) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "v2").exists()

    held = ("--anchor-factors", "anchors.safetensors", "--old-photos", "photos")
    assert called("adapt", "v1", *given, *held, *further) == 0
    assert "36 new photos, 36 anchors by their factors, neck" in capsys.readouterr().out
    assert called("explain", "v2", "--out", "flips.html", "--most", "1") == 0
    (tmp_path / "names.txt").write_text("train/a/0.png\n")
    shutil.move("anchors.safetensors", "moved.safetensors")
    assert called("forget", "v2", "names.txt", "--out", "v3") == 2
    assert "anchors.safetensors, found no file" in capsys.readouterr().err
    assert called("forget", "v2", "names.txt", "--out", "v3", "--anchor-factors", "moved.safetensors") == 0
    assert Adaptation.load(tmp_path / "v3" / "adapt.json").by_factors
