"""The commands survive kills; and each kind of consequence is seen in a command that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash_points.bench import shared, spread
from benchmarks.crash_points.case import Case, Place
from benchmarks.crash_points.hook import Kill
from benchmarks.crash_points.trial import Finding, Trial
from hetero.files import read_json, write_bytes

ROOT = Path(__file__).parents[2]


def findings(case: Case, folder: Path) -> list[Finding]:
    """What kills at every write of a small command do."""
    (folder / "given").mkdir()
    trial = Trial(case, Place(folder / "given", folder / "state"))
    found = [trial.killed(kill) for kill in trial.kills()]
    return [one for one in found if one.is_broken]


def sound(place: Place) -> None:
    write_bytes(place.out / "file", b"0123456789")


def test_the_writes_of_a_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    trial = Trial(Case("sound", sound, before=lambda place: write_bytes(place.out / "file", b"old")),
                  Place(tmp_path / "given", tmp_path / "state"))  # fmt: skip
    assert [write.event for write in trial.writes] == ["open", "os.chmod", "os.rename"]
    assert trial.kills() == [Kill(1), Kill(1, torn=True), Kill(2), Kill(3)]
    assert not [one for kill in trial.kills() if (one := trial.killed(kill, second=2)).is_broken]


def test_a_file_that_is_written_in_place_is_half_and_stays_so(tmp_path: Path) -> None:
    def hasty(place: Place) -> None:
        if not (place.out / "file").exists():
            place.out.mkdir(exist_ok=True)
            (place.out / "file").write_bytes(b"0123456789")
        write_bytes(place.out / "other", b"")

    (found,) = findings(Case("hasty", hasty), tmp_path)
    assert (found.kill, found.half, found.different) == (Kill(2, torn=True), ("out/file",), ("out/file",))


def test_a_result_that_is_removed_before_the_next_is_there_is_lost(tmp_path: Path) -> None:
    def careless(place: Place) -> None:
        (place.out / "file").unlink(missing_ok=True)
        sound(place)

    case = Case("careless", careless, before=lambda place: write_bytes(place.out / "file", b"old"))
    found = findings(case, tmp_path)
    assert {one.kill.at for one in found} == {2, 3, 4}
    assert all(one.lost == ("out/file",) and not (one.half or one.different or one.leftovers) for one in found)


def test_a_temporary_file_that_nobody_removes_is_left_over(tmp_path: Path) -> None:
    def untidy(place: Place) -> None:
        place.out.mkdir(exist_ok=True)
        own = place.out / f"file.{os.getpid()}"
        own.write_bytes(b"0123456789")
        own.rename(place.out / "file")

    found = findings(Case("untidy", untidy), tmp_path)
    assert [one.kill for one in found] == [Kill(2, torn=True), Kill(3)]
    assert all(len(one.leftovers) == 1 and not one.different for one in found)


def test_what_is_finished_and_done_again_is_lost(tmp_path: Path) -> None:
    def forgetful(place: Place) -> None:
        sound(place)
        write_bytes(place.out / "second", b"")

    found = findings(Case("forgetful", forgetful, kept=("out/file",)), tmp_path)
    assert {one.kill.at for one in found} == {5, 6, 7} and {one.lost for one in found} == {("out/file (again)",)}


def test_processes_that_are_forked_are_killed_at_their_writes_too(tmp_path: Path) -> None:
    def parental(place: Place) -> None:
        child = os.fork()
        if child == 0:
            sound(place)
            os._exit(0)
        os.waitpid(child, 0)
        write_bytes(place.out / "own", b"")

    (tmp_path / "given").mkdir()
    trial = Trial(Case("parental", parental), Place(tmp_path / "given", tmp_path / "state"))
    assert [write.event for write in trial.writes] == ["os.mkdir", *(2 * ["open", "os.chmod", "os.rename"])]
    assert not [one for kill in trial.kills() if (one := trial.killed(kill)).is_broken]


def test_kills_are_shared_out_evenly() -> None:
    held = {"few": (3, 100), "many": (300, 100), "slow": (300, 10), "most": (300, 100)}
    assert shared(60, held) == {"few": 3, "many": 24, "slow": 10, "most": 23}
    assert shared(0, held) == {"few": 3, "many": 300, "slow": 300, "most": 300}
    assert spread(list(range(11)), 3) == [0, 5, 10] and spread([1, 2], 9) == [1, 2]


@pytest.mark.slow
def test_commands_survive_kills(tmp_path: Path) -> None:
    # In a process of its own: stand-ins for processes are none to the checks of types that tests run under.
    commands = ["run", "data", "set-up", "bundle sign", "embed", "gallery", "adapter", "model"]
    commands += ["backfill run", "compact store"]
    command = [sys.executable, "-m", "benchmarks.crash_points", "--points", "32", "--json", str(tmp_path / "figures")]
    done = subprocess.run(
        [*command, "--commands", *commands], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = read_json(tmp_path / "figures")["commands"]
    assert [row["command"] for row in rows] == commands and sum(row["kills"] for row in rows) == 32
