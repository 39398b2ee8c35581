"""A search over two nodes of a Ray cluster finds what one process finds."""

from __future__ import annotations

import os

import pytest

from hetero.errors import InputError
from hetero.search.evaluations import Evaluations
from hetero.search.ray_workers import RayWorkers
from hetero.search.workers import Here, workers
from hetero.search.workers_config import WorkersConfig
from tests.hetero.search.test_algorithms import reward, search
from tests.snippets import ROOT

pytest.importorskip("ray", reason="needs the extra cluster")


def test_no_cluster_at_the_address_is_said(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match="no Ray cluster answers"), RayWorkers(reward, "auto"):
        pass


@pytest.mark.slow
def test_two_nodes_find_what_one_process_finds(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        alone = search("evolution").run(Evaluations(tmp_path / "one", "x"), Here(reward))
        with workers(reward, WorkersConfig(ray=cluster.address)) as some:
            assert search("evolution").run(Evaluations(tmp_path / "ray", "x"), some) == alone
            import ray

            assert len([one for one in ray.nodes() if one["Alive"]]) == 2
    finally:
        cluster.shutdown()
