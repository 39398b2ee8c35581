"""The output of running stages: on a terminal a line for each at the bottom, elsewhere whole lines only."""

from __future__ import annotations

import re
from typing import Any, TextIO

from tqdm import tqdm

from hetero.display.progress import progress_mode

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Screen:
    """The output of a run.

    Args:
        stream: Receives the lines.
        lines: Number of stages that run at once.
    """

    def __init__(self, stream: TextIO, *, lines: int) -> None:
        self.stream = stream
        self.mode = progress_mode()
        self.free = list(range(lines))

    def __enter__(self) -> Screen:
        """Return the screen; there is nothing to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Flush the stream; each line is closed by its owner."""
        self.stream.flush()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        tqdm.write(text, file=self.stream)
        self.stream.flush()

    def announce(self, text: str) -> None:
        """Write a line on the run's progress, unless it is to be quiet."""
        if self.mode != "quiet":
            self.say(text)

    def line(self, name: str) -> Line:
        """Return a separate line for a stage of this name."""
        return Line(self, name)


class Line:
    """The line of one stage.

    Args:
        screen: The screen that shows it.
        name: Prefix of the stage's output.
    """

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen, self._name, self._rest = screen, name, b""
        self._place = screen.free.pop(0)
        # Nothing is drawn in a log, nor where the stream is no terminal.
        self._bar: tqdm[Any] = tqdm(
            total=0,
            bar_format="{desc}",
            position=self._place,
            leave=False,
            file=screen.stream,
            disable=None if screen.mode == "bar" else True,
            dynamic_ncols=True,
        )

    def add(self, output: bytes) -> None:
        """Show output: whole lines stay, and a progress bar overwrites itself."""
        *whole, self._rest = (self._rest + output).split(b"\n")
        for text in map(_last_state, whole):
            if text:
                self._screen.say(f"{self._name}: {text}")
        if now := _last_state(self._rest):
            self._bar.set_description_str(f"{self._name}: {now}")

    def close(self) -> None:
        """Show an unfinished line, and free its place."""
        if self._rest:
            self.add(b"\n")
        self._bar.close()
        self._screen.free = sorted([*self._screen.free, self._place])


def _last_state(text: bytes) -> str:
    """Return what a terminal would show of a line that was overwritten again and again."""
    return _ESCAPES.sub("", text.decode(errors="replace")).rstrip("\r ").rpartition("\r")[2].rstrip()
