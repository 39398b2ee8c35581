"""Writing shards: on all cores of this machine, or on the nodes of a Ray cluster. The bytes are the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hetero.data.decoding.parallel import in_parallel
from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.data.embeddings.shards_writing import write_shard
from hetero.errors import InputError
from hetero.pipeline.embedding.job import Job, one_thread_each, progress_bar
from hetero.processes.cluster import RETRIES, join_cluster, result_of


def write_here(job: Job, folder: Path, entry: ShardsRecord, missing: Sequence[int]) -> None:
    """Embed the missing shards one after the other, each batch on a core of its own.

    Args:
        job: Model and images.
        folder: The folder of embeddings.
        entry: Its record.
        missing: First row of each shard to write.
    """
    batches = [batch for start in missing for batch in job.batches(start, entry.stop(start))]
    parts: list[np.ndarray] = []
    with one_thread_each(), progress_bar(entry.rows, _done(entry, missing)) as bar:
        for (first, stop), vectors in zip(batches, in_parallel(job.vectors, batches), strict=True):
            parts.append(vectors)
            bar.update(stop - first)
            start = first - first % entry.rows_per_shard
            if stop == entry.stop(start):
                write_shard(folder, entry, start, np.concatenate(parts), list(job.source.names[start:stop]))
                parts = []


def write_on_cluster(
    job: Job, folder: Path, entry: ShardsRecord, missing: Sequence[int], *, ray: Any, address: str
) -> None:
    """Embed the missing shards on the nodes of a cluster, a task a shard and core; those of a lost node again.

    Every node needs the same version of hetero, and model, images and the folder at the same paths (a shared file
    system).

    Args:
        job: Model and images.
        folder: The folder of embeddings, as an absolute path.
        entry: Its record.
        missing: First row of each shard to write.
        ray: The library.
        address: As ``ray start`` prints it, or ``auto``.

    Raises:
        InputError: When there is no cluster at the address, a node sees another model or other images, or
            shards are lost with their nodes.
    """
    join_cluster(ray, address)
    try:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_write_shard)
        shared = ray.put((job, folder, entry))
        waiting = {task.remote(shared, start): start for start in missing}
        with progress_bar(entry.rows, _done(entry, missing)) as bar:
            while waiting:
                (done,), _ = ray.wait([*waiting], num_returns=1)
                result_of(ray, done)
                start = waiting.pop(done)
                bar.update(entry.stop(start) - start)
    finally:
        ray.shutdown()


def _done(entry: ShardsRecord, missing: Sequence[int]) -> int:
    return entry.rows - sum(entry.stop(start) - start for start in missing)


def _write_shard(shared: tuple[Job, Path, ShardsRecord], start: int) -> None:
    job, folder, entry = shared
    job = _opened(job)
    here = job.record(rows_per_shard=entry.rows_per_shard, dtype=entry.dtype)
    if differences := here.differences(entry):
        raise InputError("a node of the cluster sees something else than this machine:", differences)
    with one_thread_each():
        vectors = np.concatenate([job.vectors(batch) for batch in job.batches(start, entry.stop(start))])
    write_shard(folder, entry, start, vectors, list(job.source.names[start : entry.stop(start)]))


@lru_cache(maxsize=1)
def _opened(job: Job) -> Job:
    """Return an equal job that this process has opened already, if there is one."""
    return job
