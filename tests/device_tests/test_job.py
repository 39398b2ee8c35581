"""What a runner leaves is read as strictly as a bundle: it may run on a machine that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_tests.targets.job import REPORT, timed_in
from hetero.errors import IntegrityError


@pytest.mark.parametrize("seconds", ["1e999", "NaN", "Infinity", "[" * 20_000])
def test_seconds_that_are_no_numbers_never_reach_a_mean(tmp_path: Path, seconds: str) -> None:
    (tmp_path / REPORT).write_text(f'{{"seconds": [0.5, {seconds}], "runtime_version": "1"}}')
    with pytest.raises(IntegrityError, match="not valid JSON"):
        timed_in(tmp_path)
