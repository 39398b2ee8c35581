"""One embedding of data by a model: what any process needs to open it, and the work of one batch."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32

from hetero.data.decoding.parallel import in_parallel
from hetero.data.embeddings.shard_file import Dtype
from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.display.progress import Bar
from hetero.models.external.embedders import embed_rows
from hetero.pipeline.embedding.model import Device, OpenModel, open_model
from hetero.pipeline.embedding.source import Origin, Source, find_images
from hetero.pipeline.quick.cloud_table import Takes
from hetero.processes.threads import torch_threads


@dataclass(frozen=True)
class Job:
    """What is to be embedded, and how.

    Attributes:
        model: See :func:`hetero.pipeline.embedding.model.open_model`.
        data: See :func:`hetero.pipeline.embedding.source.find_images`.
        takes: How the model's images are prepared, where it does not say so itself.
        root: Folder that a table's paths are relative to.
        batch_size: Images at a time.
        device: Device to run on.
        keep: True to keep decoded images in the cache.
    """

    model: str
    data: str
    takes: Takes
    root: str = ""
    batch_size: int = 256
    device: Device = "auto"
    keep: bool = True

    @cached_property
    def origin(self) -> Origin:
        """Where the images come from, none of which is opened yet."""
        return find_images(self.data, root=self.root)

    @cached_property
    def opened(self) -> OpenModel:
        """The model."""
        return open_model(self.model, self.takes, self.device)

    @cached_property
    def source(self) -> Source:
        """The images as the model takes them."""
        return self.origin.decoded(self.opened.embedder.preprocessing, keep=self.keep)

    def __getstate__(self) -> dict[str, object]:
        """Return what the job was made with; another process opens model and images itself."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def settings(self) -> dict[str, Any]:
        """Return what a record of shards says of the model, without the images."""
        return {
            "space": self.opened.embedder.space,
            "model": self.opened.identity,
            "batch_size": self.batch_size,
            "device": self.opened.device,
        }

    def record(self, *, rows_per_shard: int, dtype: Dtype) -> ShardsRecord:
        """Return the record of the shards that the job writes."""
        return ShardsRecord(
            rows=len(self.source.names),
            rows_per_shard=rows_per_shard,
            dtype=dtype,
            data=self.source.fingerprint,
            **self.settings(),
        )

    def batches(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return first row and end of each batch of a range of rows."""
        return [(first, min(first + self.batch_size, stop)) for first in range(start, stop, self.batch_size)]

    def vectors(self, batch: tuple[int, int]) -> Float32[np.ndarray, "b d"]:
        """Compute the unit vectors of one batch."""
        return embed_rows(self.opened.embedder, self.source.images, np.arange(*batch))


@contextlib.contextmanager
def one_thread_each() -> Generator[None]:
    """Let torch compute with one thread in the block: batches run side by side, and sums do not depend on cores."""
    import torch

    # Of several algorithms a GPU's library takes the one that gives the same bits each time, in full float32.
    cudnn = torch.backends.cudnn
    with torch_threads(1), cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def progress_bar(rows: int, done: int) -> Bar[None]:
    """Return a bar that counts images."""
    return Bar(total=rows, initial=done, desc="embedding", unit="image")


def all_vectors(job: Job) -> Iterator[Float32[np.ndarray, "b d"]]:
    """Yield the vectors of all images in order, batch by batch, computed on all cores."""
    rows = len(job.source.names)
    with one_thread_each(), progress_bar(rows, 0) as bar:
        for vectors in in_parallel(job.vectors, job.batches(0, rows)):
            bar.update(len(vectors))
            yield vectors
