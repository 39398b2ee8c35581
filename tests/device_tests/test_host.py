from __future__ import annotations

import pytest

from device_tests.targets.host import check
from hetero.errors import InputError

TOOLS = {"apt-get", "apt-config", "dpkg", "dpkg-deb"}
BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm"}


def test_a_debian_machine() -> None:
    host = check("linux", "x86_64", BOOKWORM, TOOLS)
    assert (host.distribution, host.codename, host.architecture) == ("debian", "bookworm", "amd64")


def test_a_derived_distribution_counts_as_its_ubuntu() -> None:
    release = {"ID": "linuxmint", "VERSION_CODENAME": "wilma", "UBUNTU_CODENAME": "noble"}
    assert check("linux", "x86_64", release, TOOLS).codename == "noble"


def test_every_reason_is_told() -> None:
    with pytest.raises(InputError) as caught:
        check("darwin", "arm64", {}, {"dpkg"})
    assert len(caught.value.problems) == 4
    assert "this is darwin" in str(caught.value)
    assert "apt-config, apt-get, dpkg-deb" in str(caught.value)


@pytest.mark.parametrize(
    ("system", "machine", "tools"),
    [("win32", "AMD64", set()), ("linux", "aarch64", TOOLS), ("linux", "x86_64", {"dpkg", "dpkg-deb"})],
)
def test_other_machines(system: str, machine: str, tools: set[str]) -> None:
    with pytest.raises(InputError, match="cannot be had on this machine"):
        check(system, machine, BOOKWORM, tools)
