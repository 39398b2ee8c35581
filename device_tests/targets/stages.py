"""Set-up in stages: each makes one folder, and a finished one is kept when the set-up is interrupted."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetero.errors import InputError
from hetero.files import digest, read_json, sha256_file, write_json
from hetero.storage.directories import replaced_directory
from hetero.storage.unfinished import sweep

_RECORD = ".stage.json"


@dataclass(frozen=True)
class Stage:
    """One folder of the set-up.

    Attributes:
        name: The folder's name.
        doing: Said while it runs.
        inputs: JSON-serialisable; the folder is made again when they change.
        build: Fills an empty folder.
    """

    name: str
    doing: str
    inputs: object
    build: Callable[[Path], None]


def is_done(root: Path, stage: Stage) -> bool:
    """Whether the stage's folder stands and was made from the same inputs.

    What a killed set-up left beside it is removed: nobody may come to make that folder any more.
    """
    sweep(root / stage.name)
    return stage_record(root, stage.name).get("inputs") == digest(stage.inputs)


def stage_record(root: Path, name: str) -> dict[str, Any]:
    """What a finished stage left about itself: ``inputs`` and ``tree`` digests; empty when it is not finished."""
    path = root / name / _RECORD
    return read_json(path) if path.is_file() else {}


def ensure(root: Path, stage: Stage) -> bool:
    """Make the stage's folder unless it is done; returns whether there was work to do.

    The folder and its record appear together in one rename, so a killed run leaves either nothing or all of it.
    """
    if is_done(root, stage):
        return False
    with replaced_directory(root / stage.name) as folder:
        stage.build(folder)
        write_json(folder / _RECORD, {"inputs": digest(stage.inputs), "tree": tree_digest(folder)})
    return True


def tree_digest(folder: Path) -> str:
    """Digest of every path, link, executable bit and content below ``folder``; times and byte code do not count."""
    entries: list[list[object]] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            entries.append([name, "link", str(path.readlink())])
        elif path.is_file() and name != _RECORD and path.parent.name != "__pycache__":
            entries.append([name, bool(path.stat().st_mode & stat.S_IXUSR), sha256_file(path)])
    return digest(entries)


def remove_unfinished(root: Path) -> None:
    """Delete the folders that a killed run was filling. Call with the lock held."""
    for folder in root.glob(".*"):
        if folder.is_dir():
            shutil.rmtree(folder)


@contextlib.contextmanager
def locked(root: Path, *, say: Callable[[str], None]) -> Generator[int]:
    """Hold the set-up lock of ``root``; yields its file descriptor for children to inherit.

    The lock belongs to the open file: children that outlive a killed parent keep it, so nobody works beside them.
    """
    import fcntl

    try:
        root.mkdir(parents=True, exist_ok=True)
        stream = (root / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {root}: {error}; set HETERO_CACHE to a folder that can be written") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is setting up the emulated phone; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()
