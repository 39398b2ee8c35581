"""Shape annotations are checked in every test: jaxtyping instruments our packages before they are imported."""

from __future__ import annotations

import os
import sys

import pytest

# Tests run side by side, and share the cores already. Processes that they start inherit it, and so do pytest's workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook(["hetero", "export", "device_tests"], "beartype.beartype").__enter__()

_THREADS = int(os.environ["OMP_NUM_THREADS"])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give every test the same number of threads, which trainings set for a whole process: last bits depend on it."""
    if (torch := sys.modules.get("torch")) and torch.get_num_threads() != _THREADS:
        torch.set_num_threads(_THREADS)
