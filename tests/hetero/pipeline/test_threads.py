"""The cores are divided among the trainings that may run side by side, by the recipe alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from hetero.pipeline.context import Context
from hetero.pipeline.draft import built_in
from hetero.pipeline.engine.threads import cores, with_threads
from hetero.pipeline.stages import stages_of
from tests.hetero.pipeline.fake_stages import stage, stumble

TRAINING = {"trains": True}


def shares(monkeypatch, count: int, *stages) -> dict[str, int]:
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("hetero.pipeline.engine.threads.workers", lambda: count)
    return {one.name: one.threads for one in with_threads(stages)}


def test_trainings_in_a_row_have_all_cores_and_those_side_by_side_share_them(monkeypatch):
    produce = partial(stumble)
    cloud = stage("cloud", produce, **TRAINING)
    two = [stage(name, produce, ("cloud",), **TRAINING) for name in ("m", "s")]
    export = stage("export", produce, ("m",))
    assert shares(monkeypatch, 8, cloud, *two, export) == {"cloud": 8, "m": 4, "s": 4, "export": 4}
    # The control may run beside each of the three.
    control = stage("control", produce, **TRAINING)
    found = shares(monkeypatch, 9, cloud, *two, control, export)
    assert found == {"cloud": 4, "m": 3, "s": 3, "control": 2, "export": 3}
    assert set(shares(monkeypatch, 2, cloud, *two, control).values()) == {1}


@pytest.mark.parametrize(("said", "found"), [("1", 1), ("3", 3), ("64", 4), ("", 4), ("0", 4), ("2,1", 4)])
def test_omp_num_threads_lowers_the_number_of_cores(monkeypatch, said, found):
    monkeypatch.setattr("hetero.pipeline.engine.threads.workers", lambda: 4)
    monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert cores() == found
    monkeypatch.setenv("OMP_THREAD_LIMIT", "2")
    assert cores() == 2


def test_the_demo_trains_with_one_thread_each_on_two_cores(monkeypatch, tmp_path):
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("hetero.pipeline.engine.threads.workers", lambda: 2)
    stages = {one.name: one for _, one in stages_of(Context(built_in("demo"), Path(tmp_path)))}
    assert {one.threads for one in stages.values() if one.trains} == {1}
    assert set(stages["student control"].after) == {"data"}
    assert set(stages["student edge-s"].after) == {"data", "cloud"}
    # Nothing runs beside what is timed: every stage comes before it, or after.
    assert set(stages["verify"].after) >= {"bundles/edge-m", "bundles/edge-s", "emulation/edge-m", "evaluation"}
    assert "targets" in stages["emulate edge-s"].after and not stages["targets"].after
