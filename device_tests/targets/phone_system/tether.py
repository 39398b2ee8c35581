"""Runs a program that ends when this script or its standard input does: with whoever started it, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

_SIGNAL_AT_PARENTS_END = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def main(command: list[str]) -> int:
    """Run the command; returns its exit status."""
    # Safe before there are threads.
    own = _end_with_this_script
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=own) as process:  # noqa: PLW1509

        def end_with_the_parent() -> None:
            while os.read(0, 1):
                pass
            process.kill()

        threading.Thread(target=end_with_the_parent, daemon=True).start()
        return process.wait()


def _end_with_this_script() -> None:
    ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
