"""One command: its uninterrupted run, and a kill after another with what each leaves behind."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.crash_points.case import Case, Place
from benchmarks.crash_points.hook import Kill, Write, writes_noted
from benchmarks.crash_points.process import Ended, run_in_process
from benchmarks.crash_points.snapshot import FOLDER, Snapshot, matching, snapshot

_KILLED = -9
_SOUND = (0, 1, 3)
"""Exit statuses of a command that did what it was asked: done, a gate failed, not verified."""


class NotTheSameError(Exception):
    """Two uninterrupted runs differ: nothing can be said about a third."""


@dataclass(frozen=True)
class Finding:
    """What a kill did, path by path.

    Attributes:
        kill: Where.
        write: What was about to be written there, or was half written.
        lost: What stood before and is gone, or was finished and is done again.
        half: What is neither the earlier result nor the new one.
        different: What the next run left other than the uninterrupted one.
        leftovers: What is still there, and is not after the uninterrupted run.
        said: The last words of the next run, where it ended in another way.
    """

    kill: Kill
    write: Write
    lost: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    said: str = ""

    @property
    def is_broken(self) -> bool:
        """True if it had any consequence."""
        return bool(self.lost or self.half or self.different or self.leftovers)


@dataclass
class Trial:
    """A case at a place.

    Args:
        case: The command.
        place: Whose ``state`` is made anew for each kill.
    """

    case: Case
    place: Place
    old: Snapshot = field(init=False)
    new: Snapshot = field(init=False)
    writes: list[Write] = field(init=False)
    status: int = field(init=False)

    def __post_init__(self) -> None:
        """Run it twice without a kill.

        Raises:
            NotTheSameError: When the two differ in what should be the same, or the command fails.
        """
        self.prepare()
        ended = self._run()
        self._require_sound(ended)
        self.status, self.writes, self.new = ended.status, writes_noted(ended.notes), self._look()
        self._reset()
        again = self._run()
        if found := _differences(self.new, self._look()):
            raise NotTheSameError(f"{self.case.name}: uninterrupted runs differ in {found}")
        if (writes := [one.event for one in writes_noted(again.notes)]) != [one.event for one in self.writes]:
            raise NotTheSameError(f"{self.case.name}: {len(self.writes)} writes, then {len(writes)}")

    def prepare(self) -> None:
        """Make what stands before the command, in the place of what another trial left there."""
        shutil.rmtree(self._before, ignore_errors=True)
        self._empty()
        if self.case.before:
            self._require_sound(run_in_process(self.case.before, self.place))
        shutil.copytree(self.place.state, self._before, symlinks=True)
        self.old = self._look()

    def kills(self) -> list[Kill]:
        """Every place to end the command."""
        numbered = list(enumerate(self.writes, start=1))
        torn = [Kill(number, torn=True) for number, write in numbered[:-1] if write.has_content]
        return sorted([*(Kill(number) for number, _ in numbered), *torn], key=lambda kill: (kill.at, kill.torn))

    def killed(self, kill: Kill, *, second: int = 0) -> Finding:
        """Kill the command, run it again and look.

        Args:
            kill: Where.
            second: Number of the write at which the next run is killed, too; 0 for none.

        Raises:
            NotTheSameError: When the command ended before it was killed.
        """
        self._reset()
        ended = self._run(kill)
        if ended.status != _KILLED:
            raise NotTheSameError(f"{self.case.name}: {kill} was never reached:\n{ended.said()}")
        orphans = ended.orphans
        at_kill = self._look()
        if second:
            orphans += self._run(Kill(second)).orphans
        last = self._run()
        after = self._look()
        lost, half = self._broken(at_kill)
        done_again = self._done_again(at_kill, after)
        different = [path for path in self.new.content if after.content.get(path) != self.new.content[path]]
        left = [path for path in after.content if path not in self.new.content]
        wrong = last.status != self.status
        return Finding(
            kill=kill,
            write=self.writes[kill.at - 1],
            lost=(*lost, *done_again),
            half=tuple(half),
            different=(*different, *([f"status {last.status}, not {self.status}"] if wrong else [])),
            leftovers=(*left, *(f"process {pid}" for pid in orphans + last.orphans)),
            said=last.said() if wrong else "",
        )

    def _broken(self, now: Snapshot) -> tuple[list[str], list[str]]:
        """Units that stood and are gone; units that are neither old nor new."""
        lost: list[str] = []
        half: list[str] = []
        for unit in sorted({self._unit(path) for path in (self.old.content | self.new.content)} - {""}):
            old, new, found = self.old.below(unit), self.new.below(unit), now.below(unit)
            if found in (old, new):
                continue
            (half if found else lost).append(unit)
        return lost, half

    def _unit(self, path: str) -> str:
        """The folder that is replaced as a whole around a file, or the file; empty where a part may stand."""
        if FOLDER in (self.old.content.get(path), self.new.content.get(path)) or matching(path, self.case.growing):
            return ""
        return matching(path, self.case.whole) or path

    def _done_again(self, at_kill: Snapshot, after: Snapshot) -> list[str]:
        finished = [
            path
            for path in self.new.content
            if matching(path, self.case.kept)
            and (unit := self._unit(path))
            and at_kill.below(unit) == self.new.below(unit)
        ]
        return [f"{path} (again)" for path in finished if after.identity.get(path) != at_kill.identity.get(path)]

    def _run(self, kill: Kill | None = None) -> Ended:
        return run_in_process(self.case.run, self.place, kill)

    def _look(self) -> Snapshot:
        return snapshot(self.place.state, self.case.counted)

    @property
    def _before(self) -> Path:
        return self.place.state.with_name("before")

    def _reset(self) -> None:
        shutil.rmtree(self.place.state)
        shutil.copytree(self._before, self.place.state, symlinks=True)

    def _empty(self) -> None:
        shutil.rmtree(self.place.state, ignore_errors=True)
        for name in ("cache", "config", "temporary"):
            (self.place.state / name).mkdir(parents=True)

    def _require_sound(self, ended: Ended) -> None:
        if ended.status not in _SOUND or ended.orphans:
            raise NotTheSameError(f"{self.case.name} ended with {ended.status}:\n{ended.said()}")


def _differences(one: Snapshot, other: Snapshot) -> list[str]:
    paths = one.content | other.content
    return [path for path in paths if one.content.get(path) != other.content.get(path)]
