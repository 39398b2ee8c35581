"""Complete files on a device, each stored once: those of an interrupted run are reused, and all removed at the end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.emulated.runtime_folder import RuntimeFolder
from hetero.files import sha256_file
from hetero.storage.scratch import scratch_folder

PLACE = "/data/local/tmp/hetero"
"""A folder in which the shell may write and start programs on every Android."""
_AT_ONCE = 200
"""Number of names in one command, whose length is limited."""


class Storage:
    """A folder on a device.

    Args:
        adb: The device.
        place: The folder; it is created, and removed with its content.

    Raises:
        DeviceError: If the device is gone.
    """

    def __init__(self, adb: Adb, place: str = PLACE) -> None:
        self._adb = adb
        self._lock = threading.Lock()
        self.place = place
        self._files = f"{place}/files"
        # An earlier run's answers must never be mistaken for this one's.
        names = adb.shell(f"rm -rf {place}/job-* && mkdir -p {self._files} && ls {self._files}").split()
        self._held = self._whole(names)

    def address(self, file: Path) -> str:
        """Return the path on the device of a file of this machine, once :meth:`put` has sent it."""
        return f"{self._files}/{_name(file)}"

    def put(self, files: Sequence[Path]) -> None:
        """Send files that are not yet on the device, each to its :meth:`address`.

        Raises:
            DeviceError: If one does not arrive complete.
        """
        with self._lock:
            by_name = {_name(file): file for file in files}
            missing = {name: file for name, file in by_name.items() if name not in self._held}
            if not missing:
                return
            with scratch_folder("push") as folder:
                for name, file in missing.items():
                    (folder / name).symlink_to(file.resolve())
                self._adb.push([folder / name for name in missing], f"{self._files}/")
            self._held |= self._whole(list(missing))
            if torn := sorted(by_name[name].name for name in missing if name not in self._held):
                raise DeviceError(f"did not arrive whole on the device: {', '.join(torn)}; try again")

    def unpack(self, runtime: RuntimeFolder) -> str:
        """Send the runtime's folder to the device if it is missing; return its path there."""
        path = f"{self.place}/runtime-{runtime.sha256[:16]}"
        if self._adb.shell(f"test -d {path} && echo there; :").strip() == "there":
            return path
        self.put([runtime.archive])
        archive = self.address(runtime.archive)
        # Renamed when it is complete, so that the remains of an interruption are not mistaken for it.
        self._adb.shell(
            f"set -e; rm -rf {path}.part; mkdir {path}.part; tar -x -f {archive} -C {path}.part; "
            f"mv {path}.part {path}; rm {archive}"
        )
        return path

    def remove(self) -> None:
        """Remove everything.

        Raises:
            DeviceError: If something remains.
        """
        self._adb.shell(f"rm -rf {self.place} && ! test -e {self.place}")

    def _whole(self, names: Sequence[str]) -> set[str]:
        """Return those files on the device whose content matches the digest in their name."""
        whole: set[str] = set()
        for start in range(0, len(names), _AT_ONCE):
            listed = self._adb.shell(f"cd {self._files} && sha256sum {' '.join(names[start : start + _AT_ONCE])}")
            pairs = [line.split() for line in listed.splitlines()]
            whole |= {name for digest, name in pairs if name.startswith(digest)}
        return whole


def _name(file: Path) -> str:
    return sha256_file(file) + file.suffix
