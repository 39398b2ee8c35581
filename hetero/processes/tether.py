"""Runs a program that ends when this script or its standard input does: with whoever started it, however that ends.

``tether.py SETTINGS PROGRAM ...``, started by :func:`hetero.processes.children.tethered`; the settings are JSON::

    {"input": whether the program reads this script's, "limits": {resource: most}, or null, "remove": folder or ""}

Within limits the program also gets no privileges that this script has not, and no network where the system allows that.
The folder is removed when nobody is left to do it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

# Of <linux/prctl.h> and <linux/sched.h>.
_SIGNAL_AT_PARENTS_END, _NO_NEW_PRIVILEGES = 1, 38
_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000
_LIBRARY = ctypes.CDLL(None)
_LINUX = sys.platform == "linux"


def main(settings: dict[str, Any], command: list[str]) -> int:
    """Run the command; returns its exit status, negative for a signal."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    if settings["limits"] is not None and _LINUX:
        _confine(settings["limits"])
    stdin = None if settings["input"] else subprocess.DEVNULL
    # Safe before there are threads.
    own = _end_with_this_script if _LINUX else None
    with subprocess.Popen(command, stdin=stdin, preexec_fn=own) as process:  # noqa: PLW1509
        deserted = threading.Event()

        def end_with_the_input() -> None:
            watched = select.poll()
            watched.register(0, 0)
            watched.poll()  # What the program is to read is left to it; the end is told all the same.
            deserted.set()
            process.kill()
            process.wait()
            if settings["remove"]:
                shutil.rmtree(settings["remove"], ignore_errors=True)
            os.killpg(0, signal.SIGKILL)

        watch = threading.Thread(target=end_with_the_input, daemon=True)
        watch.start()
        status = process.wait()
    if deserted.is_set():
        watch.join()
    return status


def _confine(limits: dict[str, int]) -> None:
    for name, most in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        ceiling = sys.maxsize if hard == resource.RLIM_INFINITY else hard
        # Too much time is told by a signal of its own, and a second later by one that cannot be ignored.
        resource.setrlimit(kind, (min(most, ceiling), min(most + (name == "CPU"), ceiling)))
    _LIBRARY.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _leave_the_network()


def _leave_the_network() -> None:
    user, group = os.getuid(), os.getgid()
    if _LIBRARY.unshare(_NEW_NETWORK) and not _LIBRARY.unshare(_NEW_NETWORK | _NEW_USER):
        # Whoever has no right to this has it among users of their own; there the names stay the same.
        maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
        for name, text in maps.items():
            with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w", encoding="ascii") as stream:  # noqa: PTH123
                stream.write(text)


def _end_with_this_script() -> None:
    _LIBRARY.prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)


def _leave(status: int) -> None:
    """End as the program did."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    _leave(main(json.loads(sys.argv[1]), sys.argv[2:]))
