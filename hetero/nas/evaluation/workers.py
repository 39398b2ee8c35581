"""The workers that evaluate candidates: this process, several, or a cluster. All give the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack

from hetero.errors import InputError
from hetero.nas.evaluation.evaluate import Evaluate
from hetero.nas.evaluation.ray_workers import RayWorkers
from hetero.nas.evaluation.worker import Evaluated, Workers
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.nas.space.architecture import Architecture
from hetero.processes.children import spawn_context


def workers(evaluate: Evaluate, config: WorkersConfig) -> Workers:
    """Return the workers of a config.

    Raises:
        InputError: When the config names a cluster and Ray is not installed.
    """
    if config.ray:
        return RayWorkers(evaluate, config.ray)
    return Here(evaluate) if config.processes == 1 else Processes(evaluate, config.processes)


class Here:
    """The current process as the only worker."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def __enter__(self) -> Workers:
        """Return the worker; there is nothing to start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing; there is nothing to stop."""

    def evaluate(self, points: Sequence[Architecture]) -> Evaluated:
        """Evaluate points as :class:`hetero.nas.evaluation.worker.Workers` describes."""
        for point in points:
            yield point, self._evaluate(point)


class Processes:
    """Processes of this machine, started afresh so that no thread's state is copied."""

    def __init__(self, evaluate: Evaluate, count: int) -> None:
        self._evaluate, self._count = evaluate, count
        self._open = ExitStack()

    def __enter__(self) -> Workers:
        """Start the processes."""
        context = spawn_context()
        self._pool = self._open.enter_context(ProcessPoolExecutor(self._count, mp_context=context))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the processes; waiting candidates are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._open.close()

    def evaluate(self, points: Sequence[Architecture]) -> Evaluated:
        """Evaluate points as :class:`hetero.nas.evaluation.worker.Workers` describes.

        Raises:
            InputError: When a process died.
        """
        waiting = {self._pool.submit(self._evaluate, point): point for point in points}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool:
            raise InputError(
                "a worker process died, most likely for lack of memory; the same command with fewer --jobs continues"
            ) from None
