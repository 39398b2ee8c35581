"""Ids by their keys, a few and many at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetero.gallery.embedded.names import Names, write


@pytest.mark.parametrize("keys", [[], [7], [3, 4, 5], [1, 2, 9, 40, 41, 10**12]])
@pytest.mark.parametrize("count", [1, 10, 500])
def test_each_key_has_its_id_and_others_have_none(tmp_path: Path, keys: list[int], count: int) -> None:
    write(tmp_path, [(key, f"påske {key}.jpg") for key in keys])
    asked = np.random.default_rng(count).choice([*keys, -1, 0, 6, 39, 10**12 + 1], count)
    expected = [f"påske {key}.jpg" if key in keys else None for key in asked.tolist()]
    assert Names(tmp_path).of(asked) == expected
