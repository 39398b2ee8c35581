"""The built-in set as users get it; apart from test_emoji.py, which makes the set small."""

from __future__ import annotations

import pytest

from hetero.data.config import DataConfig
from hetero.data.prepare import prepare
from hetero.preprocessing import Preprocessing


@pytest.mark.slow
def test_the_whole_set() -> None:
    data = prepare(DataConfig(kind="emoji"), Preprocessing(32, 32))
    sets = (data.train, data.validation, data.test)
    assert [len(part.classes) for part in sets] == [885, 80, 415]
    assert [len(part) for part in sets] == [2655, 240, 1245]
    assert [len(task.query) for task in data.test_tasks] == [415, 415, 415]
    images = ((name, image) for part in sets for name, image in zip(part.names, part.images[:], strict=True))
    assert not [name for name, image in images if image.min() > 235], "no drawing is blank"
