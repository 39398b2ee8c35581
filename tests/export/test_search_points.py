"""Points of the search space in every format; ``benchmarks/search_exports.py`` takes many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hetero.files import read_json
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.file import built_in_space

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_points_agree_with_torch_in_every_format_and_are_not_exported_twice(tmp_path):
    space = tmp_path / "space.toml"
    space.write_text(
        'kind = ["shuffle"]\nstem_channels = 8\n[[stages]]\nchannels = [16]\nstride = 2\ndepth = [2]\nkernel = [5]\n'
        'expansion = [2.0]\nsqueeze_excite = [true]\nactivation = ["gelu"]\n'
        '[[stages]]\nchannels = [24]\nstride = 2\ndepth = [2]\nactivation = ["relu6"]\nkernel = [7]\n'
        '[[stages]]\nchannels = [24]\nactivation = ["silu"]\n'
    )
    command = [sys.executable, str(ROOT / "benchmarks" / "search_exports.py"), "--points", "1", "--space", str(space)]
    once = [*command, "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(once, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (point,) = read_json(tmp_path / "out" / "points.json")["points"].values()
    assert set(point["formats"]) == {"onnx", "litert", "coreml"}
    assert all(0 < one["difference"] < 1e-4 for one in point["formats"].values())
    again = subprocess.run(once, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0 and "| coreml | 1 | 1 |" in again.stdout
    assert Architecture.from_dict(point["architecture"]) not in built_in_space("demo")
