from __future__ import annotations

from pathlib import Path

import pytest

from export.app.contract import AppContract
from export.bundle.reading import Bundle
from tests.export.app_code.cases import lay_out_application


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AppContract, Bundle]:
    """An application's folder, the contract in it, and the bundle that it came from; the model is LiteRT's."""
    folder = tmp_path_factory.mktemp("application")
    return folder, *lay_out_application(folder, "litert")
