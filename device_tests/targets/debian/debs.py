"""Debian packages of another architecture or release, from the archives that this machine's own apt uses."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from device_tests.targets.debian.apt_root import AptRoot
from device_tests.targets.debian.apt_sources import archive_sources, read_sources
from device_tests.targets.host import Host
from hetero.errors import InputError
from hetero.processes import children


class Archives:
    """The archives for one architecture and release.

    Args:
        machine: This machine.
        architecture: Debian's name, for instance ``arm64``.
        release: Empty for this machine's own.
        work: A folder kept between calls, so that downloads resume.
        lock: File descriptor that children inherit.

    Raises:
        InputError: If this machine's sources name no such archive.
    """

    def __init__(self, machine: Host, architecture: str, release: str, work: Path, lock: int) -> None:
        self._architecture, self._work, self._lock = architecture, work, lock
        sources = archive_sources(read_sources(), machine.codename, architecture)
        if release in ("", machine.codename):
            self._stanzas = [source.stanza(architecture, source.suites) for source in sources]
        else:
            # Updates and security may be elsewhere for another release; its main archive is complete by itself.
            self._stanzas = [source.stanza(architecture, [release]) for source in sources[:1]]
        if not self._stanzas:
            raise InputError(
                "this machine's apt sources name no archive of its release with component main that may serve "
                f"{architecture}; add one (on Ubuntu the archive for arm64 is the one of its 'ports'), then try again"
            )

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Download packages and all their dependencies; return the files, sorted.

        Raises:
            InputError: With apt's own message.
        """
        try:
            return self._updated(self._stanzas).install_download(packages)
        except InputError as error:
            refused = error
        if len(self._stanzas) > 1:
            # Mirrors of updates are out of step for minutes at a time; the main archive is complete by itself.
            tqdm.write(f"without updates, since an archive of updates does not answer. {refused}")
            with contextlib.suppress(InputError):
                return self._updated(self._stanzas[:1]).install_download(packages)
        raise self._refusal(refused)

    def download_newest(self, package: str) -> Path:
        """Download the package that an empty metapackage, which always points to the newest, depends on.

        Raises:
            InputError: With apt's own message.
        """
        try:
            apt = self._updated(self._stanzas)
            return apt.download(apt.dependency(package))
        except InputError as error:
            raise self._refusal(error) from None

    def _updated(self, stanzas: Sequence[str]) -> AptRoot:
        apt = AptRoot(self._work, self._architecture, stanzas, self._lock)
        apt.update()
        return apt

    def _refusal(self, refused: InputError) -> InputError:
        return InputError(
            f"the archives that this machine's apt uses did not give {self._architecture} packages. Without network, "
            "try again later; on Ubuntu, whose ARM packages are on a 'ports' archive, add that one with "
            f"`Architectures: {self._architecture}` to this machine's apt sources. {refused}"
        )


def unpack(packages: Path, folder: Path) -> None:
    """Unpack every package of one folder into another.

    Raises:
        InputError: With dpkg's own message.
    """
    for path in sorted(packages.glob("*.deb")):
        completed = children.run(["dpkg", "-x", path, folder])
        if completed.returncode:
            raise InputError(f"dpkg -x {path.name} failed: {completed.stderr.strip()}")
