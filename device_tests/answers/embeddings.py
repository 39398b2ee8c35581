"""Embeddings that targets computed, stored for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from device_tests.targets.target import Returned
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle
from hetero.files import canonical_json, write_bytes


@dataclass(frozen=True)
class DeviceEmbeddings:
    """One model's embeddings on one target.

    Attributes:
        golden: float32 [n, d], embeddings of the bundle's golden images.
        query: float32 [q, d], embeddings of its query images.
        query_rows: int64 [q], the retrieval rows of the queries.
    """

    golden: Float32[np.ndarray, "n d"]
    query: Float32[np.ndarray, "q d"]
    query_rows: Int64[np.ndarray, " q"]


def embeddings_file(out: Path, bundle: str, target: str, format: str, precision: str) -> Path:
    """Return the path of a target's embeddings below a verification's directory."""
    return out / "embeddings" / f"{bundle}.{target.replace(':', '-')}.{format}.{precision}.safetensors"


def save_embeddings(out: Path, bundle: Bundle, target: str, entry: ModelEntry, returned: Returned) -> None:
    """Store the embeddings; if none are sound, remove an earlier run's file, which would be mistaken for this one's."""
    from safetensors.numpy import save

    path = embeddings_file(out, bundle.manifest.name, target, entry.format, entry.precision)
    goldens = bundle.goldens
    count = len(goldens.golden_images)
    if returned.embeddings is None or len(returned.embeddings) != count + len(goldens.query_rows):
        path.unlink(missing_ok=True)
        return
    arrays = {
        "golden": np.ascontiguousarray(returned.embeddings[:count], np.float32),
        "query": np.ascontiguousarray(returned.embeddings[count:], np.float32),
        "query_rows": np.ascontiguousarray(goldens.query_rows, np.int64),
    }
    about = {"space_id": bundle.space.space_id, "runtime": returned.runtime}
    # One entry only: safetensors writes several in no fixed order, and equal content must give equal bytes.
    write_bytes(path, save(arrays, metadata={"hetero": canonical_json(about)}))


def load_embeddings(path: Path) -> DeviceEmbeddings | None:
    """Read the file of :func:`save_embeddings`; None if the target returned nothing."""
    from safetensors.numpy import load_file

    if not path.is_file():
        return None
    arrays = load_file(path)
    return DeviceEmbeddings(arrays["golden"], arrays["query"], arrays["query_rows"])
