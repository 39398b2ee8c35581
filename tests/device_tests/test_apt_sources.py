from __future__ import annotations

from pathlib import Path

from device_tests.targets.debian.apt_sources import archive_sources, parse_deb822, parse_one_line, read_sources

ONE_LINE = """\
# deb http://commented.example.org/debian bookworm main
deb http://deb.example.org/debian bookworm main contrib # trailing
deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/a.gpg ] http://deb.example.org/debian bookworm-updates main
deb-src http://deb.example.org/debian bookworm main
deb [arch=amd64] https://tools.example.org/apt stable main
deb http://flat.example.org/packages ./
"""
DEB822 = """\
# The archive
Types: deb deb-src
# a comment inside
URIs: http://deb.example.org/debian http://second.example.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abcd
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://disabled.example.org/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example.org/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://node.example.org/nodistro
Suites: nodistro
Components: main
Architectures: amd64
"""


def test_one_line() -> None:
    found = parse_one_line(ONE_LINE)
    assert [source.suites for source in found] == [("bookworm",), ("bookworm-updates",), ("stable",)]
    assert found[0].components == ("main", "contrib")
    assert found[1].architectures == ("amd64", "arm64")
    assert found[1].options == {"signed-by": "/usr/share/keyrings/a.gpg"}


def test_deb822() -> None:
    found = parse_deb822(DEB822)
    assert [source.uris[0] for source in found] == [
        "http://deb.example.org/debian",
        "https://node.example.org/nodistro",
    ]
    assert len(found[0].uris) == 2
    assert "BEGIN PGP" in found[0].options["signed-by"]


def test_only_the_releases_own_archives_are_asked() -> None:
    found = archive_sources(parse_deb822(DEB822) + parse_one_line(ONE_LINE), "bookworm", "arm64")
    suites = [("bookworm", "bookworm-updates"), ("bookworm",), ("bookworm-updates",)]
    assert [source.suites for source in found] == suites


def test_an_image_that_names_its_release_stable() -> None:
    sources = parse_one_line("deb http://deb.example.org/debian stable main\n")
    assert archive_sources(sources, "bookworm", "arm64")[0].suites == ("stable",)


def test_no_archive_for_the_architecture() -> None:
    sources = parse_one_line("deb [arch=amd64] http://archive.example.org/ubuntu noble main\n")
    assert archive_sources(sources, "noble", "arm64") == []


def test_a_stanza_reads_back() -> None:
    source = parse_deb822(DEB822)[0]
    again = parse_deb822(source.stanza("arm64", ["trixie"]))[0]
    assert (again.uris, again.suites, again.architectures) == (source.uris, ("trixie",), ("arm64",))
    assert again.options["signed-by"].split() == source.options["signed-by"].split()


def test_reading_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example.org/debian bookworm main\n")
    (tmp_path / "sources.list.d" / "b.list").write_text("deb http://two.example.org/debian bookworm main\n")
    (tmp_path / "sources.list.d" / "a.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "ignored.bak").write_text("deb http://no.example.org/debian bookworm main\n")
    hosts = [source.uris[0].split("/")[2].split(".")[0] for source in read_sources(tmp_path)]
    assert hosts == ["one", "two", "deb", "node"]
