"""Runs a program that ends when this script or its standard input ends, and so with the process that started it.

``tether.py SETTINGS PROGRAM ...``, started by :func:`hetero.processes.children.tethered`; the settings are JSON::

    {"input": whether the program reads this script's, "limits": {resource: most}, or null, "remove": folder or ""}

With limits the program also gets no new privileges, and no network where the system allows that. The folder is removed
when the process that started this script can no longer do it.
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

# Constants of <linux/prctl.h> and <linux/sched.h>.
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
    # preexec_fn is safe as long as there are no threads.
    own = _end_with_this_script if _LINUX else None
    with subprocess.Popen(command, stdin=stdin, preexec_fn=own) as process:  # noqa: PLW1509
        deserted = threading.Event()

        def end_with_the_input() -> None:
            watched = select.poll()
            watched.register(0, 0)
            watched.poll()  # reports the end of the input without taking any of it from the program
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
        # Exceeding the time gives a specific signal, and a second later one that cannot be ignored.
        resource.setrlimit(kind, (min(most, ceiling), min(most + (name == "CPU"), ceiling)))
    _LIBRARY.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _leave_the_network()


def _leave_the_network() -> None:
    user, group = os.getuid(), os.getgid()
    if _LIBRARY.unshare(_NEW_NETWORK) and not _LIBRARY.unshare(_NEW_NETWORK | _NEW_USER):
        # A process without the right to do this has it in its own user namespace, where the ids stay the same.
        maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
        for name, text in maps.items():
            with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w", encoding="ascii") as stream:  # noqa: PTH123
                stream.write(text)


def _end_with_this_script() -> None:
    _LIBRARY.prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)


def _leave(status: int) -> None:
    """Exit with the program's status, or by the signal that ended it."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    _leave(main(json.loads(sys.argv[1]), sys.argv[2:]))
