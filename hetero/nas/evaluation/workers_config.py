"""The settings of the workers that evaluate candidates."""

from __future__ import annotations

from hetero.constraints import Count
from hetero.schema import settings


@settings
class WorkersConfig:
    """The workers that evaluate candidates; the figures do not depend on them.

    Attributes:
        processes: Processes at once on this machine; 1 is this process.
        ray: Address of a Ray cluster, for instance ``auto`` or ``10.0.0.1:6379``; empty for this machine.
    """

    processes: Count = 1
    ray: str = ""
