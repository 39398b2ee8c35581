"""A bundle's path is refused before torch is given one that ends the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from export import export_model
from export.bundle.goldens import RetrievalSet
from hetero.errors import InputError


def test_a_path_that_is_no_text_in_this_locale(tmp_path: Path) -> None:
    retrieval = object.__new__(RetrievalSet)
    with pytest.raises(InputError, match=r"path in UTF-8 .* got '.*f\\udcfcr/bundle'"):
        export_model(tmp_path / "model", retrieval, tmp_path / "f\udcfcr" / "bundle")
    assert [*tmp_path.iterdir()] == []
