"""Bundles broken on purpose: proof that the ladder notices what goes wrong in practice."""

from device_tests.faults.catalogue import FAULTS, Fault
from device_tests.faults.trial import Outcome, try_faults

__all__ = ["FAULTS", "Fault", "Outcome", "try_faults"]
