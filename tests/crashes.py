"""Kills at each write: what SQLite does to itself. The action runs in a forked child, so only the kill is lost."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "shutil.rmtree", "os.chmod"}
_MADE = {"tempfile.mkstemp", "tempfile.mkdtemp"}
_WRITING = os.O_WRONLY | os.O_RDWR


def kills(root: Path, action: Callable[[], object], *, before: Callable[[], object]) -> Iterator[int]:
    """Yield after each kill -9 of ``action``: at its first write below ``root``, its second, until one run is whole."""
    number = 0
    while True:
        number += 1
        before()
        if not _killed(root, action, number):
            return
        yield number


def _killed(root: Path, action: Callable[[], object], number: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            sys.addaudithook(_Countdown(root, number))
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "the action failed of itself"
    return status == signal.SIGKILL


class _Countdown:
    def __init__(self, root: Path, number: int) -> None:
        self._root, self._left = str(root), number

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_write(event, arguments):
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_write(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            return isinstance(path, str) and path.startswith(self._root) and bool(flags & _WRITING)
        return event in _WRITES or event in _MADE
