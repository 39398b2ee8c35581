"""Where candidates are evaluated."""

from __future__ import annotations

from hetero.constraints import Count
from hetero.schema import settings


@settings
class WorkersConfig:
    """Who evaluates candidates; their figures do not depend on it.

    Attributes:
        processes: At once on this machine; 1 is this process.
        ray: Address of a Ray cluster, for instance ``auto`` or ``10.0.0.1:6379``; empty for this machine.
    """

    processes: Count = 1
    ray: str = ""
