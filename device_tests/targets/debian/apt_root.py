"""A private apt, with its own lists and archives, that fetches packages of another machine without root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hetero.errors import InputError
from hetero.processes import children

_SETTINGS = """\
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "{retries}";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{root}/sources";
Dir::State "{root}/state";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}";
Dir::Cache::archives "{root}/archives";
Dir::Log "{root}/log";
"""


class AptRoot:
    """A downloader of ``architecture``'s packages and dependencies; apt checks signatures with the machine's keys.

    Args:
        root: A folder of its own; kept between calls, so that an interrupted download resumes.
        architecture: Debian's name, for instance ``arm64``.
        stanzas: deb822 sources.
        lock: File descriptor that the children inherit: it stays locked while one of them lives, even if this process
            is killed.
        retries: Number of times that a failed download is repeated, with growing pauses.
    """

    def __init__(self, root: Path, architecture: str, stanzas: Sequence[str], lock: int, retries: int = 3) -> None:
        self.root = root
        self._lock = lock
        for name in ("sources", "state", "lists/partial", "archives/partial", "log"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        (root / "sources" / "archives.sources").write_text("\n".join(stanzas), encoding="utf-8")
        settings = _acquire_settings() + _SETTINGS.format(architecture=architecture, root=root, retries=retries)
        (root / "apt.conf").write_text(settings, encoding="utf-8")

    def update(self) -> None:
        """Fetch the package lists.

        Raises:
            InputError: With apt's own message.
        """
        # Without this mode apt-get reports success although an archive was unreachable.
        self._run(["apt-get", "-q", "update", "-o", "APT::Update::Error-Mode=any"])

    def install_download(self, packages: Sequence[str]) -> list[Path]:
        """Download packages and all their dependencies; return the files, sorted."""
        self._run(["apt-get", "-q", "-y", "--download-only", "install", *packages])
        return sorted((self.root / "archives").glob("*.deb"))

    def download(self, package: str) -> Path:
        """Download one package alone."""
        archives = self.root / "archives"
        before = {path.name for path in archives.glob("*.deb")}
        self._run(["apt-get", "-q", "download", package], cwd=archives)
        after = [path for path in archives.glob(f"{package}_*.deb") if path.name not in before]
        return (after or sorted(archives.glob(f"{package}_*.deb")))[-1]

    def dependency(self, package: str) -> str:
        """Return the first package that ``package`` depends on.

        Raises:
            InputError: If there is no such package, or it depends on nothing.
        """
        description = self._run(["apt-cache", "show", "--no-all-versions", package])
        depends = [
            line.removeprefix("Depends:").split() for line in description.splitlines() if line.startswith("Depends:")
        ]
        if not depends or not depends[0]:
            raise InputError(f"the package {package} depends on nothing")
        return depends[0][0]

    def _run(self, command: Sequence[str], cwd: Path | None = None) -> str:
        settings = {"APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        variables = children.environment(**settings)
        completed = children.run(command, folder=cwd, variables=variables, inherited=[self._lock])
        if completed.returncode:
            messages = [
                line
                for line in (completed.stdout + completed.stderr).splitlines()
                if line.startswith(("E:", "W:", "Err:"))
            ]
            raise InputError(
                f"{' '.join(command)} failed with status {completed.returncode}:",
                messages or completed.stderr.splitlines()[-5:],
            )
        return completed.stdout


def _acquire_settings() -> str:
    """Return the machine's own download settings (proxies, timeouts), without hooks and other policies of its apt."""
    dump = children.run(["apt-config", "dump", "Acquire"], check=True).stdout
    prefixes = ("acquire::http", "acquire::https", "acquire::ftp", "acquire::check-valid-until", "acquire::forceipv")
    return "".join(f"{line}\n" for line in dump.splitlines() if line.lower().startswith(prefixes))
