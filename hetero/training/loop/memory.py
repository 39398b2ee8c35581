"""Keep freed memory for the next step instead of giving it back to the system."""

from __future__ import annotations

import ctypes
import functools
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more


@functools.cache
def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory; once a process.

    A training step on the CPU frees hundreds of megabytes of activations and asks for them again in the next one. By
    default glibc returns large blocks to the system at once, and the system hands them out again page by page, zeroed:
    about a third of the processor time of a small model's step. The price is that the process stays as large as its
    largest step.

    Returns:
        True if glibc agreed; False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    success = mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    return bool(success)
