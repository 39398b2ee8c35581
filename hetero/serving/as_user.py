"""Runs a program as another user: ``as_user.py UID GID PROGRAM ...``, started by root.

On Linux the program ends with the process that started this script.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SIGNAL_AT_PARENTS_END = 1

if __name__ == "__main__":
    user, group, *command = sys.argv[1:]
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
    if sys.platform == "linux":
        # Asked for again: a change of the user takes it back.
        ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    os.execv(command[0], command)
