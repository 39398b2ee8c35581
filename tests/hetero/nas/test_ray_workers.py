"""A search over two nodes of a Ray cluster finds what one process finds."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import hetero
from hetero.errors import InputError
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.evaluation.ray_workers import RayWorkers
from hetero.nas.evaluation.workers import Here, workers
from hetero.nas.evaluation.workers_config import WorkersConfig
from tests.hetero.nas.test_algorithms import reward, search
from tests.poison import poisoned
from tests.snippets import ROOT

pytest.importorskip("ray", reason="needs the extra cluster")


def test_no_cluster_at_the_address_is_said(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match="no Ray cluster answers"), RayWorkers(reward, "auto"):
        pass


def test_workers_are_not_told_to_look_where_the_driver_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    joined = []
    nodes = RayWorkers(reward, "somewhere")
    nodes._ray = SimpleNamespace(
        init=lambda *_, **__: joined.append(Path.cwd()), remote=lambda **_: str, shutdown=lambda: None
    )
    with nodes:
        assert Path.cwd() == tmp_path
    assert joined == [Path(hetero.__file__).parents[1]]


@pytest.mark.slow
def test_two_nodes_find_what_one_process_finds_and_nothing_where_the_driver_is(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    (tmp_path / "poisoned").mkdir()
    executed = poisoned(tmp_path / "poisoned")
    # No empty part, which would stand for the folder that a process is started in.
    known = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))
    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        alone = search("evolution").run(Evaluations(tmp_path / "one", "x"), Here(reward))
        monkeypatch.chdir(executed.parent)
        with workers(reward, WorkersConfig(ray=cluster.address)) as some:
            assert search("evolution").run(Evaluations(tmp_path / "ray", "x"), some) == alone
            import ray

            assert len([one for one in ray.nodes() if one["Alive"]]) == 2
    finally:
        cluster.shutdown()
    assert Path.cwd() == executed.parent
    assert not executed.exists(), executed.read_text()
