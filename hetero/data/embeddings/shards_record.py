"""The record of a folder of embeddings in shards, ``embeddings.json``: what decides every shard's bytes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from hetero.constraints import Count
from hetero.data.embeddings.shard_file import Dtype
from hetero.schema import record
from hetero.space import EmbeddingSpace


@record
class ShardsRecord:
    """The content of ``embeddings.json``: what decides every shard's bytes.

    Attributes:
        rows: Number of vectors in all shards.
        rows_per_shard: Number of vectors in each but the last.
        dtype: Type of the vectors in the files.
        space: The space of the vectors.
        model: Digest of the model's weights and preprocessing.
        data: Fingerprint of the images, in their order.
        batch_size: Images that the model embedded at a time, which decides the last bits of sums.
        device: Kind of device that it ran on, which does so, too.
        schema: Version of this record.
    """

    rows: Count
    rows_per_shard: Count
    dtype: Dtype
    space: EmbeddingSpace
    model: str
    data: str
    batch_size: Count
    device: str = "cpu"
    schema: Literal["hetero/embedding-shards/1"] = "hetero/embedding-shards/1"

    @property
    def starts(self) -> range:
        """The first row of each shard."""
        return range(0, self.rows, self.rows_per_shard)

    def stop(self, start: int) -> int:
        """Return the row after a shard's last."""
        return min(start + self.rows_per_shard, self.rows)

    def file(self, start: int) -> str:
        """Return the name of the shard that starts with a row."""
        return f"{start:012d}-{self.stop(start):012d}.parquet"

    def is_shard(self, name: str) -> bool:
        """Return True if a name is that of a shard."""
        start = name.partition("-")[0]
        return start.isdecimal() and int(start) in self.starts and self.file(int(start)) == name

    def differences(self, other: ShardsRecord) -> list[str]:
        """Return one line for each value that differs, with the other's first."""
        own, others = asdict(self), asdict(other)
        names = {"model": "the model's weights or preprocessing", "data": "the images", "space": "the model's space"}
        return [
            f"{names.get(key, key)}: {_shown(others[key])} there, {_shown(own[key])} now"
            for key in own
            if own[key] != others[key]
        ]


def _shown(value: object) -> object:
    return value[:12] if isinstance(value, str) else value["space_id"][:12] if isinstance(value, dict) else value
