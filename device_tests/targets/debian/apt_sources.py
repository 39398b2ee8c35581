"""Read the package archives that this machine's own apt uses.

The addresses stay in the machine's configuration: a private apt root asks the same archives for another
architecture. Formats: sources.list(5), one-line and deb822.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+[^\s#]+)*)"
)
_OPTION_FIELDS = {"arch": "architectures", "lang": "languages", "target": "targets"}
_OWN_FIELDS = frozenset({"types", "uris", "suites", "components", "architectures", "enabled", "languages", "targets"})


@dataclass(frozen=True)
class Source:
    """One entry for an archive.

    Attributes:
        uris: Archive addresses.
        suites: Suites, for instance ``("bookworm", "bookworm-updates")``.
        components: Components, for instance ``("main",)``.
        architectures: Those that the entry is restricted to; empty for all.
        options: Further deb822 fields with lower-case names, such as ``signed-by``, unchanged.
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    def serves(self, architecture: str) -> bool:
        """Return True if the entry may be asked for packages of ``architecture``."""
        return not self.architectures or architecture in self.architectures

    def stanza(self, architecture: str, suites: Iterable[str]) -> str:
        """Return a deb822 stanza of the entry, restricted to one architecture, the given suites and component main."""
        fields = {
            "Types": "deb",
            "URIs": " ".join(self.uris),
            "Suites": " ".join(suites),
            "Components": "main",
            "Architectures": architecture,
            **self.options,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())


def read_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """Return all enabled binary entries of ``sources.list``, ``*.list`` and ``*.sources`` below ``etc_apt``."""
    parts = etc_apt / "sources.list.d"
    one_line = [etc_apt / "sources.list", *sorted(parts.glob("*.list"))]
    sources = [source for path in one_line for source in parse_one_line(_text(path))]
    return sources + [source for path in sorted(parts.glob("*.sources")) for source in parse_deb822(_text(path))]


def parse_one_line(text: str) -> list[Source]:
    """Parse ``deb [options] uri suite component...`` lines; comments and ``deb-src`` are left out."""
    sources: list[Source] = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match is None or not match["components"].strip():
            continue
        options = dict(part.split("=", 1) for part in (match["options"] or "").split() if "=" in part)
        named_options = {
            _OPTION_FIELDS.get(name.lower(), name.lower()): value.replace(",", " ") for name, value in options.items()
        }
        fields = {**named_options, "uris": match["uri"], "suites": match["suite"], "components": match["components"]}
        sources.append(_source(fields))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """Parse deb822 stanzas; disabled ones, ``deb-src`` and flat archives (no components) are left out."""
    sources: list[Source] = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = _fields(stanza)
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off")
        if enabled and "deb" in fields.get("types", "").split() and fields.get("components"):
            sources.append(_source(fields))
    return sources


def archive_sources(sources: Iterable[Source], codename: str, architecture: str) -> list[Source]:
    """Return the distribution's own archives among ``sources``: its suites, component main and the architecture.

    Args:
        sources: All entries.
        codename: The distribution's code name, for instance ``bookworm``.
        architecture: Debian's name, for instance ``arm64``.

    Returns:
        Entries reduced to the suites that belong to the release.
    """
    entries = [source for source in sources if "main" in source.components and source.serves(architecture)]
    for release in (codename, "stable", "testing", "unstable", "sid"):
        names = {release, f"{release}-updates", f"{release}-security"}
        reduced = [
            _with_suites(source, tuple(suite for suite in source.suites if suite in names)) for source in entries
        ]
        reduced = [source for source in reduced if source.suites]
        if any(release in source.suites for source in reduced):
            return reduced
    return []


def _with_suites(source: Source, suites: tuple[str, ...]) -> Source:
    return Source(source.uris, suites, source.components, source.architectures, source.options)


def _source(fields: Mapping[str, str]) -> Source:
    return Source(
        uris=tuple(fields.get("uris", "").split()),
        suites=tuple(fields.get("suites", "").split()),
        components=tuple(fields.get("components", "").split()),
        architectures=tuple(fields.get("architectures", "").split()),
        options={name: value for name, value in fields.items() if name not in _OWN_FIELDS},
    )


def _fields(stanza: str) -> dict[str, str]:
    """Return fields by lower-case name; continuation lines, such as an embedded key, keep their indentation."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace() and name:
            fields[name] += f"\n{line}"
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
