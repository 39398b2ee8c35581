"""The benchmarks of a search, on photos and networks so small that they end in seconds."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import architecture_search, search_ranking, search_speed, search_trial
from hetero.files import read_json
from tests.hetero.nas.test_stage import SPACE
from tests.snippets import lay_out

RECIPE = """
name = "tiny"

[data]
kind = "folder"
path = "photos"

[preprocessing]
height = 32
width = 32

[cloud]
name = "cloud"
training = { steps = 2, threads = 1 }

[cloud.model]
family = "residual"
dimension = 8
stem_channels = 16
stages = [{ channels = 16, stride = 2 }, { channels = 32, stride = 2 }]

[search]
space = "space.toml"
algorithm = { population = 2, generations = 2, parents = 1 }
supernet = { calibration = 6, training = { steps = 2, threads = 1 } }
student = { training = { steps = 2, threads = 1, validate_every = 2 } }

[[tiers]]
name = "phone"
budget = "macs <= cloud/2"
"""
ASKED = ["recipe.toml", "--seeds", "0", "1", "--out", "out", "--steps", "1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = lay_out(tmp_path_factory.mktemp("benchmarks"))
    (place / "space.toml").write_text(SPACE, encoding="utf-8")
    (place / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HETERO_CACHE", str(place / "cache"))
        patched.chdir(place)
        yield place


def run(module, *more, patched):
    patched.setattr(sys, "argv", [module.__name__, *ASKED, *more])
    module.main()


def test_winners_beside_random_and_hand_made_networks(place, monkeypatch, capsys):
    arms = ["evolution r2", "evolution r1", "random draw", "mobilenetv3-like"]
    run(architecture_search, "--shares", "1", "--arms", *arms, patched=monkeypatch)
    result = read_json(place / "out" / "architecture-search.json")
    (part,) = result["budgets"]
    assert set(part["arms"]) == set(arms) and part["first"] == "evolution r2"
    for row in part["arms"].values():
        assert len(row["seeds"]) == len(row["m_q_q"]) == len(row["macs"]) == 2
        assert row["m_q_g"]["low"] <= row["m_q_g"]["value"] <= row["m_q_g"]["high"]
        assert row["m_q_g"]["value"] == pytest.approx(sum(row["seeds"]) / 2)
    assert part["arms"]["evolution r2"]["first_minus_it"]["value"] == 0
    assert (result["steps"], result["candidates"]) == (1, 4)
    assert "random draw" in capsys.readouterr().out
    assert "hand-made" in (place / "out" / "architecture-search.svg").read_text(encoding="utf-8")


def test_rewards_beside_trained_figures_in_two_processes_and_only_once(place, monkeypatch, capsys):
    run(search_ranking, "--architectures", "4", "--share", "1", "--seeds", "0", "--jobs", "2", patched=monkeypatch)
    result = read_json(place / "out" / "ranking.json")
    (one,) = result["trials"]
    assert one["seed"] == 0
    rewards = {f"{name}, {how}" for name in search_trial.REWARDS for how in ("estimated", "moving averages")}
    assert set(one["taus"]) == rewards | {"macs"}
    assert all(len(values) == 4 for values in (*one["promised"].values(), *one["trained"].values()))
    assert "| macs |" in capsys.readouterr().out
    made = {path: path.stat().st_mtime_ns for path in place.glob("out/seed-*/trained/*/model.safetensors")}
    run(search_ranking, "--architectures", "4", "--share", "1", "--seeds", "0", patched=monkeypatch)
    assert made == {path: path.stat().st_mtime_ns for path in place.glob("out/seed-*/trained/*/model.safetensors")}
    assert read_json(place / "out" / "ranking.json")["trials"] == result["trials"]


def test_candidates_are_timed(place, monkeypatch, capsys):
    run(architecture_search, "--shares", "1", "--seeds", "0", "--arms", "random draw", patched=monkeypatch)
    capsys.readouterr()
    options = [str(place / "out" / "seed-0"), "--candidates", "20", "--share", "1", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["search_speed", *options])
    search_speed.main()
    searches = json.loads(capsys.readouterr().out)["searches"]
    assert [one["candidates"] for one in searches] == [2, 20]
    assert all(one["processor_seconds"] > 0 and one["megabytes"] > 50 for one in searches)
