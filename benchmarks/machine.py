"""What a benchmark says about where and when it ran, and how much memory it took."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable
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


def timed(action: Callable[[], object]) -> dict[str, float]:
    """Seconds of wall clock and of processors, and the most memory that this process and all below it held at once."""
    done, peak = threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.2):
            peak[0] = max(peak[0], _resident(os.getpid()))

    before = _resident(os.getpid())
    watcher = threading.Thread(target=watch)
    watcher.start()
    start, processor = time.perf_counter(), _processor_seconds()
    try:
        action()
    finally:
        seconds, processor = time.perf_counter() - start, _processor_seconds() - processor
        done.set()
        watcher.join()
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "peak_memory_gb": round((peak[0] - before) / 2**30, 2),
    }


def _processor_seconds() -> float:
    """Of this process and of all that it has waited for: what an idle machine with one core would need."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _resident(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0
    own = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return own + sum(_resident(int(child)) for child in children)
