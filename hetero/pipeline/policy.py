"""What a recipe's bundles must reach."""

from __future__ import annotations

import importlib
from typing import Any

from hetero.recipe import VerifyConfig


def policy_of(config: VerifyConfig) -> Any:
    """The policy that a recipe names, with the recipe's own limits: a ``device_tests.policy.Policy``.

    Raises:
        InputError: When there is no such policy, or with everything that is wrong with it.
    """
    device: Any = importlib.import_module("device_tests.verify")
    named = device.policy_called(config.policy) if config.policy else device.Policy()
    limits = {"largest_loss": config.largest_loss, "floor": config.floor}
    return named.overridden(**{name: value for name, value in limits.items() if value is not None})
