"""Shape annotations are checked in every test: jaxtyping instruments our packages before they are imported."""

from __future__ import annotations

import os

# Tests run side by side, and share the cores already. Processes that they start inherit it, and so do pytest's workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook(["hetero", "export", "device_tests"], "beartype.beartype").__enter__()

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
