"""Progress of long work: a bar on a terminal, whole lines in a log, or nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from tqdm import tqdm

from hetero.display.text import one_line

T = TypeVar("T")
Mode = Literal["bar", "plain", "quiet"]
VARIABLE = "HETERO_PROGRESS"
"""An environment variable, so that the processes that a command starts show progress as it does."""
SECONDS = 10.0
"""Least time between two lines of one bar in a log."""
_LINE = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def progress_mode() -> Mode:
    """Return how progress is shown: as the variable says, else as a bar on a terminal and in plain lines elsewhere."""
    match os.environ.get(VARIABLE, ""):
        case "bar" | "plain" | "quiet" as mode:
            return mode
        case _:
            return "bar" if sys.stderr and sys.stderr.isatty() else "plain"


if TYPE_CHECKING:
    _Tqdm = tqdm[T]
else:

    class _Tqdm(tqdm, Generic[T]):
        """tqdm, which is generic for type checkers alone."""


class Bar(_Tqdm[T]):
    """A progress bar; in a log, a line when the work is done, and every :data:`SECONDS` until then.

    Args:
        iterable: Items to count; None to count by :meth:`update`.
        options: As tqdm takes them.
    """

    def __init__(self, iterable: Iterable[T] | None = None, **options: Any) -> None:
        mode = progress_mode()
        self._plain, self._shown = mode == "plain", time.monotonic()
        if "desc" in options:
            options["desc"] = one_line(options["desc"])
        if mode == "quiet":
            options["disable"] = True
        if self._plain:
            options |= {"bar_format": _LINE, "mininterval": SECONDS, "delay": SECONDS, "file": sys.stderr}
        super().__init__(iterable, **options)  # pyright: ignore[reportArgumentType] - its stub asks for items

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """Show the state, in a log only if the last line was long enough ago."""
        if not self._plain:
            return super().display(msg, pos)
        if time.monotonic() - self._shown >= SECONDS:
            self._write()
        return True

    def clear(self, *arguments: Any, **options: Any) -> None:
        """Remove the bar from a terminal for other output; in a log lines stay."""
        if not self._plain:
            super().clear(*arguments, **options)

    def close(self) -> None:
        """Show the last state, and end."""
        if self._plain and not self.disable:
            self._write()
            self.disable = True
            self._decr_instances(self)  # pyright: ignore[reportAttributeAccessIssue] - not in its stub
        super().close()

    def _write(self) -> None:
        self._shown = time.monotonic()
        if not self.total:
            return
        self.fp.write(f"{str(self).strip()}\n")
        self.fp.flush()
