"""Workers on the nodes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetero.nas.evaluation.evaluate import Evaluate
from hetero.nas.evaluation.worker import Evaluated, Workers
from hetero.nas.space.architecture import Architecture
from hetero.processes.cluster import RETRIES, join_cluster, ray_library, result_of


class RayWorkers:
    """One task a candidate and core, on any node; the candidates of a node that dies are evaluated on others.

    Every node needs the same version of hetero, and the run's directory at the same path (a shared file system): an
    evaluator is a path and a few words.

    Args:
        evaluate: Judges a candidate.
        address: As ``ray start`` prints it, or ``auto``.

    Raises:
        InputError: When Ray is not installed.
    """

    def __init__(self, evaluate: Evaluate, address: str) -> None:
        self._ray: Any = ray_library()
        self._evaluate, self._address = evaluate, address

    def __enter__(self) -> Workers:
        """Join the cluster.

        Raises:
            InputError: When there is no cluster at the address.
        """
        join_cluster(self._ray, self._address)
        self._task: Any = self._ray.remote(num_cpus=1, max_retries=RETRIES)(_evaluated)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster, which keeps running."""
        self._ray.shutdown()

    def evaluate(self, points: Sequence[Architecture]) -> Evaluated:
        """Evaluate points as :class:`hetero.nas.evaluation.worker.Workers` describes."""
        waiting: dict[Any, Architecture] = {self._task.remote(self._evaluate, point): point for point in points}
        while waiting:
            (task,), _ = self._ray.wait([*waiting], num_returns=1)
            figures = result_of(self._ray, task)
            yield waiting.pop(task), figures


def _evaluated(evaluate: Evaluate, point: Architecture) -> dict[str, float]:
    return evaluate(point)
