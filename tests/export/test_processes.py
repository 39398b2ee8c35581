"""A converter's process finds this package wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path

from export.conversion.processes import _environment


def test_the_package_is_found_by_its_name(tmp_path: Path) -> None:
    first = Path(_environment(str(tmp_path))["PYTHONPATH"].split(os.pathsep)[0])
    assert first == Path(__file__).parents[2]
