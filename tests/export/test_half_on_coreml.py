"""The float16 overflow of long embeddings, on a real Core ML package in the reference executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_tests.runtimes.coreml import load
from export.capture.program import capture
from export.conversion.half import make_safe
from export.formats.converter import ConversionJob
from export.formats.coreml import convert as coreml
from tests.export.test_half import Net, pictures, source


@pytest.mark.slow
def test_long_embeddings_overflow_by_name_and_the_rewrite_mends_them(tmp_path: Path) -> None:
    net = source(Net(3e3))
    expected = net.embed(pictures())
    program = capture(net.module, net.example)
    safe, _, after = make_safe(program, pictures(), net.example)
    assert after == []
    results = {}
    for name, graph in (("as it is", program), ("rewritten", safe)):
        job = ConversionJob(net.describe(), 8, 8, {"fp16": 1e-3}, None)
        path = tmp_path / name.replace(" ", "-") / "model.mlpackage"
        path.parent.mkdir()
        coreml.write(coreml.prepare(graph, job), "fp16", path)
        results[name] = load(path, "float16").run({"image": pictures()})
    broken = results["as it is"].outputs["embedding"]
    assert not np.isfinite(broken).all() or (broken * expected).sum(axis=1).min() < 0.9
    assert any("overflow" in str(incident) for incident in results["as it is"].incidents)
    assert not any("overflow" in str(incident) for incident in results["rewritten"].incidents)
    mended = results["rewritten"].outputs["embedding"]
    assert (mended * expected).sum(axis=1).min() > 0.999
