"""The folder pushed to a device: Python, the runtimes and the C library that they need, started by its own loader.

Taken from an emulated phone's setup, without what running a model never needs, with byte code in place of sources.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from device_tests.targets.emulated import setup as phone_setup
from device_tests.targets.emulated.guest import Guest, python_version, tried
from device_tests.targets.emulated.systems import System
from device_tests.targets.job import clean_environment
from device_tests.targets.stages import SetUpStage, ensure, locked, stage_record
from hetero.errors import InputError
from hetero.files import sha256_file, write_json
from hetero.storage.scratch import scratch_folder

_RECIPE = 1
_ARCHIVE = "runtime.tar"
# Tests, headers and documentation of every package, and the parts of the runtimes that make models.
_UNUSED_FOLDERS = {
    *("__pycache__", "test", "tests", "include", "share", "gconv", "pydoc_data"),
    *("distutils", "lib2to3", "ensurepip", "idlelib", "tkinter", "f2py"),
    *("transformers", "tools", "quantization", "datasets", "backend"),
}
_UNUSED_NAMES = ("libonnxruntime.so", "libLiteRtWebGpu")
_UNUSED_KINDS = frozenset({".pyi", ".h", ".hpp", ".a", ".pxd", ".pyx", ".md", ".rst"})


@dataclass(frozen=True)
class RuntimeFolder:
    """An archive of the folder.

    Attributes:
        archive: A tar file.
        sha256: Its digest.
        loader: Name of the dynamic loader in the folder's ``lib``.
        python: Name of the interpreter in its ``bin``.
        versions: Versions of its content.
    """

    archive: Path
    sha256: str
    loader: str
    python: str
    versions: Mapping[str, str]

    def variables(self, folder: str) -> dict[str, str]:
        """Return the environment of Python in the unpacked folder."""
        return {
            "PYTHONHOME": folder,
            "PYTHONPATH": f"{folder}/site",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }

    def program(self, folder: str) -> list[str]:
        """Return the command for Python in the unpacked folder, without arguments; it writes no byte code."""
        library = f"{folder}/lib"
        return [f"{library}/{self.loader}", "--library-path", library, f"{folder}/bin/{self.python}", "-B", "-s"]


def runtime_folder(system: System) -> RuntimeFolder:
    """Return the folder for devices with a system's processor; built in the cache on first use, and tested.

    Raises:
        InputError: If it is unavailable on this machine.
    """
    phone = phone_setup.set_up(system)
    guest = phone.guest
    root = phone_setup.phone_directory(system)
    inputs = [_RECIPE, *(stage_record(root, name).get("tree") for name in ("sysroot", "site"))]
    stage = SetUpStage("runtime", "packing the runtimes", inputs, lambda folder: _pack(guest, folder))
    with locked(root, say=tqdm.write):
        ensure(root, stage)
    folder = root / stage.name
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return RuntimeFolder(folder / _ARCHIVE, about["sha256"], about["loader"], about["python"], phone.versions)


def _pack(guest: Guest, folder: Path) -> None:
    members = dict(_members(guest))
    with tarfile.open(folder / _ARCHIVE, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            archive.add(members[name], name, recursive=False, filter=_plain)
    loader = next((Path(name).name for name in members if name.startswith("lib/ld-linux")), "")
    if not loader:
        raise InputError(f"no dynamic loader was unpacked below {guest.sysroot}; delete the folder and set up again")
    python = next(Path(name).name for name in members if name.startswith("bin/python"))
    about = {"sha256": sha256_file(folder / _ARCHIVE), "loader": loader, "python": python}
    _try(guest, RuntimeFolder(folder / _ARCHIVE, **about, versions={}))
    write_json(folder / "about.json", about)


def _members(guest: Guest) -> Iterator[tuple[str, Path]]:
    """Yield files of this machine by their name in the archive."""
    major, minor = python_version(guest.sysroot)
    version = f"python{major}.{minor}"
    yield f"bin/{version}", guest.sysroot / "usr" / "bin" / version
    for place in ("lib", "usr/lib"):
        for path in (guest.sysroot / place).glob("*-linux-gnu/*.so*"):
            # Links within a folder remain valid in the archive's single folder; others point out of it.
            if path.is_file() and not (path.is_symlink() and "/" in str(path.readlink())):
                yield f"lib/{path.name}", path
    for top, source in ((f"lib/{version}", guest.sysroot / "usr" / "lib" / version), ("site", guest.site)):
        for path in source.rglob("*"):
            inside = path.relative_to(source)
            if path.is_file() and _is_used(inside):
                compiled = path.parent / "__pycache__" / f"{path.stem}.cpython-{major}{minor}.pyc"
                if path.suffix == ".py" and compiled.is_file():
                    yield f"{top}/{inside.with_suffix('.pyc').as_posix()}", compiled
                else:
                    yield f"{top}/{inside.as_posix()}", path


def _is_used(path: Path) -> bool:
    if path.parts[0].endswith(".dist-info"):
        return path.name == "METADATA"
    return not (
        _UNUSED_FOLDERS & set(path.parts) or path.name.startswith(_UNUSED_NAMES) or path.suffix in _UNUSED_KINDS
    )


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove times and owners, which differ between setups."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _try(guest: Guest, folder: RuntimeFolder) -> None:
    """Import everything from the unpacked folder, as on a device."""
    with scratch_folder("runtime") as place:
        name = str(place)
        with tarfile.open(folder.archive) as archive:
            # Python 3.11 on Debian knows no filters; the archive is our own.
            archive.extraction_filter = getattr(tarfile, "tar_filter", None)
            archive.extractall(name)
        emulator = [guest.emulator, "-cpu", guest.core, "-L", guest.sysroot] if guest.system.emulator else []
        environment = {**clean_environment(), **folder.variables(name)}
        failing = "cannot import its runtimes from a folder of their own"
        tried(guest.system, [*emulator, *folder.program(name)], environment, failing=failing)
