"""What a benchmark says about where and when it ran, and how much memory it took."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any


def where_and_when() -> dict[str, Any]:
    """Date and machine, to print beside every figure."""
    return {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "machine": _machine()}


def peak_resident_bytes() -> int:
    """The most memory this process has held at once, memory-mapped pages included.

    ``ru_maxrss`` of Linux is inherited from the process that started this one, hence ``VmHWM`` where there is one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _machine() -> dict[str, Any]:
    import numpy as np

    cpu = Path("/proc/cpuinfo")
    names = [line for line in cpu.read_text().splitlines() if "model name" in line] if cpu.is_file() else []
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
