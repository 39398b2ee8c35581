"""Folders of embeddings for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.data.embeddings.shards_writing import begin, write_shard
from hetero.space import EmbeddingSpace


def write_folder(
    folder: Path, vectors: np.ndarray, names: Sequence[str], space: EmbeddingSpace, *, dtype: Any = "float32"
) -> Path:
    """Write shards of seven rows."""
    entry = ShardsRecord(len(names), 7, dtype, space, model="m", data="d", batch_size=8)
    for start in begin(folder, entry):
        rows = slice(start, entry.stop(start))
        write_shard(folder, entry, start, vectors[rows], list(names[rows]))
    return folder
