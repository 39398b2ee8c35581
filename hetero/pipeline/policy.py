"""The goals that a recipe's bundles must reach."""

from __future__ import annotations

from device_tests.verdict.policy import Policy, policy_called
from hetero.pipeline.recipe import VerifyConfig


def policy_of(config: VerifyConfig) -> Policy:
    """Return the policy that a recipe names, with the recipe's own limits.

    Raises:
        InputError: When there is no such policy, or with every mistake in it.
    """
    named = policy_called(config.policy) if config.policy else Policy()
    limits = {"largest_loss": config.largest_loss, "floor": config.floor}
    return named.overridden(**{name: value for name, value in limits.items() if value is not None})
