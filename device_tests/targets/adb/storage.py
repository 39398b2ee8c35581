"""Files on a device, each once and whole: what an interrupted run left there is used, and at the end all is removed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.emulated.runtime_folder import RuntimeFolder
from hetero.files import sha256_file
from hetero.storage.scratch import scratch_folder

PLACE = "/data/local/tmp/hetero"
"""Where a shell may write and start programs on every Android."""
_AT_ONCE = 200
"""Names in one command, whose length is limited."""


class Storage:
    """A folder on a device.

    Args:
        adb: The device.
        place: The folder; it is made, and removed with all that is in it.

    Raises:
        DeviceError: When the device is gone.
    """

    def __init__(self, adb: Adb, place: str = PLACE) -> None:
        self._adb = adb
        self._lock = threading.Lock()
        self.place = place
        self._files = f"{place}/files"
        # An earlier run's answers must never be taken for this one's.
        names = adb.shell(f"rm -rf {place}/job-* && mkdir -p {self._files} && ls {self._files}").split()
        self._held = self._whole(names)

    def address(self, file: Path) -> str:
        """Where a file of this machine is on the device, once :meth:`put` has put it there."""
        return f"{self._files}/{_name(file)}"

    def put(self, files: Sequence[Path]) -> None:
        """Have files on the device, under their :meth:`address`.

        Raises:
            DeviceError: When one does not arrive whole.
        """
        with self._lock:
            named = {_name(file): file for file in files}
            missing = {name: file for name, file in named.items() if name not in self._held}
            if not missing:
                return
            with scratch_folder("push") as folder:
                for name, file in missing.items():
                    (folder / name).symlink_to(file.resolve())
                self._adb.push([folder / name for name in missing], f"{self._files}/")
            self._held |= self._whole(list(missing))
            if torn := sorted(named[name].name for name in missing if name not in self._held):
                raise DeviceError(f"did not arrive whole on the device: {', '.join(torn)}; try again")

    def unpack(self, runtime: RuntimeFolder) -> str:
        """Have the runtime's folder on the device; returns its path there."""
        path = f"{self.place}/runtime-{runtime.sha256[:16]}"
        if self._adb.shell(f"test -d {path} && echo there; :").strip() == "there":
            return path
        self.put([runtime.archive])
        archive = self.address(runtime.archive)
        # Renamed when it is complete, so that what an interruption leaves is not taken for it.
        self._adb.shell(
            f"set -e; rm -rf {path}.part; mkdir {path}.part; tar -x -f {archive} -C {path}.part; "
            f"mv {path}.part {path}; rm {archive}"
        )
        return path

    def remove(self) -> None:
        """Remove everything.

        Raises:
            DeviceError: When something stays.
        """
        self._adb.shell(f"rm -rf {self.place} && ! test -e {self.place}")

    def _whole(self, names: Sequence[str]) -> set[str]:
        """Those of the files on the device whose content is what their name says."""
        whole: set[str] = set()
        for start in range(0, len(names), _AT_ONCE):
            listed = self._adb.shell(f"cd {self._files} && sha256sum {' '.join(names[start : start + _AT_ONCE])}")
            pairs = [line.split() for line in listed.splitlines()]
            whole |= {name for digest, name in pairs if name.startswith(digest)}
        return whole


def _name(file: Path) -> str:
    return sha256_file(file) + file.suffix
