"""What is killed: a command, the folder that it works in, and what two runs of it may differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

AGAIN = " again"
"""Ends the name of a command that finds an earlier result of other inputs."""
Counted = Callable[[Path], bytes]
"""What of a file has to be the same in two runs."""


@dataclass(frozen=True)
class Place:
    """Where a command is tried.

    Attributes:
        given: What it reads; never changed.
        state: What it may write: ``out``, and its ``cache``, ``config`` and ``temporary`` folders.
    """

    given: Path
    state: Path

    @property
    def out(self) -> Path:
        """Where its results go."""
        return self.state / "out"


Action = Callable[[Place], object]


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        name: Of the command, and of what stands when it starts.
        run: The command; it exits or returns.
        before: Leaves an earlier result of other content; without it the command starts in empty folders.
        whole: Patterns, from the state, of folders that are the earlier result or the new one, never a mixture. Any
            other file is so by itself.
        growing: Patterns of files that are written line by line, or by a database: a kill may leave a part.
        kept: Patterns of what is not done again once it stands.
        counted: Pattern -> what has to be the same in two runs, where that is not every byte.
        most: Kills that are enough in a run that does not make all of them: what takes seconds gets fewer.
    """

    name: str
    run: Action
    before: Action | None = None
    whole: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    counted: Mapping[str, Counted] = field(default_factory=dict[str, Counted])
    most: int = 150
