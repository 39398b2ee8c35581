"""Setup in stages: each builds one folder, and finished folders survive an interruption of the setup."""

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
class SetUpStage:
    """One folder of the setup.

    Attributes:
        name: The folder's name.
        doing: Text to display while it runs.
        inputs: JSON-serialisable; the folder is rebuilt when they change.
        build: Fills an empty folder.
    """

    name: str
    doing: str
    inputs: object
    build: Callable[[Path], None]


def is_done(root: Path, stage: SetUpStage) -> bool:
    """Return True if the stage's folder exists and was built from the same inputs.

    The remains of a killed setup beside it are removed, as that folder may never be built again.
    """
    sweep(root / stage.name)
    return stage_record(root, stage.name).get("inputs") == digest(stage.inputs)


def stage_record(root: Path, name: str) -> dict[str, Any]:
    """Return the record of a finished stage: ``inputs`` and ``tree`` digests; empty if it is not finished."""
    path = root / name / _RECORD
    return read_json(path) if path.is_file() else {}


def ensure(root: Path, stage: SetUpStage) -> bool:
    """Build the stage's folder unless it is done; return True if there was work to do.

    The folder and its record appear together in one rename, so a killed run leaves either nothing or all of it.
    """
    if is_done(root, stage):
        return False
    with replaced_directory(root / stage.name) as folder:
        stage.build(folder)
        write_json(folder / _RECORD, {"inputs": digest(stage.inputs), "tree": tree_digest(folder)})
    return True


def tree_digest(folder: Path) -> str:
    """Return a digest of paths, links, executable bits and contents below ``folder``, without times and byte code."""
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
    """Hold the setup lock of ``root``; yield its file descriptor for children to inherit.

    The lock belongs to the open file: children that outlive a killed parent keep it, so no process works beside them.
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
