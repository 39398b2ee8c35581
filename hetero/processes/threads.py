"""The number of threads with which torch computes on the CPU: the last bits of its sums depend on it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator


@contextlib.contextmanager
def torch_threads(count: int) -> Generator[None]:
    """Let torch compute with a number of threads in the block, and give the process back its own afterwards.

    Args:
        count: The number of threads; 0 leaves it as it is.
    """
    import torch

    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
