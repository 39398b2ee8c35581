"""What commands say on machines that are short of something: ``python -m benchmarks.hard_environments --json FILE``.

Every command runs as a process under every condition, on tiny inputs. It must either do what it does elsewhere or end
with status 2 and a message; no traceback, no status 1 (a gate failed) that it does not have elsewhere, nothing half
written. Needs Linux, root (a full and a read-only file system are mounted; another user is taken on) and setpriv.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.every_command import SCRIPT, Command, Name, prepare, run
from hetero.storage.unfinished import is_unfinished

COMMANDS: tuple[Name, ...] = (
    *(("data", "check"), ("space", "check"), ("bundle", "check"), ("bundle", "key"), ("bundle", "sign"), ("embed",)),
    *(("backfill", "plan"), ("report",), ("verify",), ("fleet",), ("export",), ("train", "cloud"), ("run",)),
)
USER = 12345
"""Of no name and no home."""
_MONTH = 30 * 24 * 3600.0


@dataclass
class Place:
    """Where a command runs and how; a condition changes it.

    Attributes:
        here: A copy of the inputs, with the cache, the home and the folder for temporary files in it.
        out: Where it writes.
        variables: Its environment.
        program: What comes before the command's name.
        limit: Called in the child before it becomes the command.
    """

    here: Path
    out: Path
    variables: dict[str, str]
    program: Command = SCRIPT
    limit: Callable[[], None] | None = None


@dataclass(frozen=True)
class Row:
    """What one command said under one condition.

    Attributes:
        condition: Its name.
        command: As on the command line.
        status: Its exit status.
        said: Its message.
        wrong: What should not be, if anything.
        seconds: It took.
    """

    condition: str
    command: str
    status: int
    said: str
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


Condition = Callable[[Place], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def _mounted(place: Place, *options: str, source: Path | str) -> Generator[None]:
    subprocess.run(["mount", *options, source, place.here.parent], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place.here.parent], check=True)


@contextlib.contextmanager
def full_disk(place: Place) -> Generator[None]:
    """Everything lies on a file system without a free block."""
    kept = place.here.parent.with_name("kept")
    place.here.parent.rename(kept)
    place.here.parent.mkdir()
    with _mounted(place, "-t", "tmpfs", "-o", "size=64m", source="tmpfs"):
        for one in kept.iterdir():
            shutil.copytree(one, place.here.parent / one.name)
        with contextlib.suppress(OSError), (place.here.parent / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        yield


@contextlib.contextmanager
def read_only(place: Place) -> Generator[None]:
    """Everything lies on a file system that is mounted read-only."""
    with _mounted(place, "--bind", source=place.here.parent):
        subprocess.run(["mount", "-o", "remount,bind,ro", place.here.parent], check=True)
        yield


def _give(folder: Path, user: int) -> None:
    for above, _, names in os.walk(folder):
        for one in (above, *(Path(above) / name for name in names)):
            os.chown(one, user, user)


@contextlib.contextmanager
def without_home(place: Place) -> Generator[None]:
    """Neither HOME nor TMPDIR is set, and the user has no entry that would name a home; the inputs are his."""
    # He may read what root alone may, which is where Python can lie.
    read = "-all,+dac_read_search"
    ids = f"--reuid={USER}", f"--regid={USER}", "--clear-groups"
    place.program = (
        *("setpriv", *ids, f"--inh-caps={read}", f"--ambient-caps={read}", f"--bounding-set={read}", "--"),
        *place.program,
    )
    _give(place.here.parent, USER)
    for name in ("HOME", "TMPDIR", "HETERO_CACHE"):
        place.variables.pop(name, None)
    yield


@contextlib.contextmanager
def normal_user(place: Place) -> Generator[None]:
    """The inputs are somebody else's, the home, the cache and where it writes are the user's; no capabilities."""
    place.program = ("setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--", *place.program)
    _give(place.here, USER)
    for name in ("home", "tmp"):
        os.chown(place.here / name, os.getuid(), os.getgid())
    place.variables["HETERO_CACHE"] = str(place.here / "home" / "cache")
    yield


@contextlib.contextmanager
def plain_locale(place: Place) -> Generator[None]:
    """LC_ALL=C, without Python's own remedies, and paths of other characters."""
    place.variables |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    yield


@contextlib.contextmanager
def closed_umask(place: Place) -> Generator[None]:
    """Umask 077."""
    place.limit = lambda: void(os.umask(0o077))
    yield


@contextlib.contextmanager
def little_memory(place: Place) -> Generator[None]:
    """2 GB of address space."""
    place.limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    yield


@contextlib.contextmanager
def clock_set_back(place: Place) -> Generator[None]:
    """Every file is a month younger than the clock says."""
    later = time.time() + _MONTH
    for folder, _, names in os.walk(place.here):
        for one in (folder, *(Path(folder) / name for name in names)):
            os.utime(one, (later, later))
    yield


def void(_: object) -> None:
    """Take a value that nobody needs."""


CONDITIONS: dict[str, Condition] = {
    "as usual": lambda _: contextlib.nullcontext(),
    "disk full": full_disk,
    "read-only": read_only,
    "no HOME, no TMPDIR": without_home,
    "LC_ALL=C": plain_locale,
    "umask 077": closed_umask,
    "a normal user": normal_user,
    "2 GB of address space": little_memory,
    "clock set back": clock_set_back,
}


def row(condition: str, name: Name, inputs: Path, usual: int | None) -> Row:
    """Run one command under one condition.

    Args:
        condition: Of :data:`CONDITIONS`.
        name: Of the command.
        inputs: What :func:`benchmarks.every_command.prepare` made.
        usual: Its status elsewhere, once it is known.
    """
    with tempfile.TemporaryDirectory(prefix="hetero-hard-") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "Fotos für später"
        here, out = root / "here", root / "out"
        shutil.copytree(inputs, here)
        # Of files that are somebody else's, those are meant that one may read.
        here.chmod(0o755)
        out.mkdir()
        for one in ("home", "tmp"):
            (here / one).mkdir()
        own = {"HOME": here / "home", "TMPDIR": here / "tmp", "HETERO_CACHE": here / "cache"}
        place = Place(here, out, {**os.environ, **{key: str(value) for key, value in own.items()}})
        with CONDITIONS[condition](place):
            start, before = time.monotonic(), {*root.rglob("*")}
            done = run(
                name, here, out, variables=place.variables, program=place.program, preexec_fn=place.limit, timeout=900
            )
            written = [path for path in root.rglob("*") if path not in before]
            left = [str(path.relative_to(root)) for path in written if is_unfinished(path)]
            if condition == "umask 077":
                left += [f"open: {path.relative_to(root)}" for path in written if path.stat().st_mode & 0o077]
        return Row(condition, " ".join(name), done.returncode, _last(done.stderr, root), wrong(done, usual, left),
                   round(time.monotonic() - start, 1))  # fmt: skip


def wrong(done: subprocess.CompletedProcess[str], usual: int | None, left: list[str]) -> list[str]:
    """Say what should not be of a command's end.

    Args:
        done: How it ended.
        usual: Its status elsewhere, once it is known.
        left: What it left half written.
    """
    found = [f"status {done.returncode}"] if done.returncode not in ((0, 1, 3) if usual is None else (usual, 2)) else []
    if "Traceback" in done.stderr:
        found.append(done.stderr[-3000:])
    if done.returncode == 2 and "hetero: " not in done.stderr:
        found.append(f"no message: {done.stderr[-500:]}")
    return [*found, f"left: {left}"] if left else found


def _last(text: str, root: Path) -> str:
    """The message, in one line."""
    _, found, said = text.replace(str(root), "…").rpartition("hetero: ")
    return f"{found}{' '.join(said.split())}"[:300] if found else ""


def table(rows: Iterable[Row]) -> str:
    """Markdown: one line for each condition."""
    lines = ["| | as usual | refused, status 2 | what it says |", "|---|---|---|---|"]
    by_condition: dict[str, list[Row]] = {}
    for one in rows:
        by_condition.setdefault(one.condition, []).append(one)
    for condition, some in by_condition.items():
        refused = [one for one in some if one.status == 2]
        said = sorted({one.said.removeprefix("hetero: ") for one in refused})
        lines.append(f"| {condition} | {len(some) - len(refused)} | {len(refused)} | {'; '.join(said)} |")
    return "\n".join(lines)


def main() -> None:
    """Run everything, and print the table and what should not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, help="What an earlier run prepared.")
    parser.add_argument("--conditions", nargs="*", default=[*CONDITIONS])
    parser.add_argument("--commands", nargs="*", default=[" ".join(name) for name in COMMANDS])
    given = parser.parse_args()
    commands = [tuple(words.split()) for words in given.commands]
    with contextlib.ExitStack() as stack:
        inputs = given.inputs
        if inputs is None:
            inputs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            prepare(inputs)
        rows: list[Row] = []
        usual: dict[Name, int] = {}
        for condition in ("as usual", *(one for one in given.conditions if one != "as usual")):
            for name in commands:
                made = row(condition, name, inputs, usual.get(name))
                usual.setdefault(name, made.status)
                rows.append(made)
                print(condition, made.command, made.status, made.seconds, made.said, made.wrong, flush=True)
                given.json.write_text(json.dumps([asdict(one) for one in rows], indent=1, ensure_ascii=False) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
