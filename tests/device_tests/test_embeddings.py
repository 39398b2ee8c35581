"""What targets returned, kept for the report and for later baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_tests.answers.embeddings import embeddings_file, save_embeddings
from device_tests.targets.target import Returned
from export.bundle.reading import read_bundle
from tests.device_tests.tiny_bundle import write_bundle


def test_equal_embeddings_give_equal_bytes(tmp_path: Path) -> None:
    """The library's own order of several entries of metadata changes from save to save."""
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    entry, goldens = bundle.manifest.models[0], bundle.goldens
    rows = len(goldens.golden_images) + len(goldens.query_rows)
    returned = Returned(np.ones((rows, bundle.space.dimension), np.float32), runtime="one 1.0")
    saved = set[bytes]()
    for number in range(20):
        save_embeddings(tmp_path / str(number), bundle, "desktop", entry, returned)
        path = embeddings_file(tmp_path / str(number), "tiny", "desktop", entry.format, entry.precision)
        saved.add(path.read_bytes())
    assert len(saved) == 1
