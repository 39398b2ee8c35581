"""The program that travels to a device."""

from __future__ import annotations

import subprocess
import sys

import numpy as np


def test_peak_memory_is_the_programs_own_and_not_its_parents() -> None:
    ballast = np.ones(400_000_000, np.uint8)
    code = "from device_tests.runner.embedding import peak_memory; print(peak_memory())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1_000_000 < int(answer.stdout) < ballast.nbytes / 2
