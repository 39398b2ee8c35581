from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothing_is_kept_from_other_tests(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets answer anew in every test; an emulated phone that is set up stays where it is."""
    fresh = tmp_path_factory.mktemp("returned")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(fresh / "settings"))
    monkeypatch.setattr("device_tests.answers.kept.cache_directory", lambda: fresh)
    monkeypatch.setattr("device_tests.resizing.cost.cache_directory", lambda: fresh)
