"""Debian's Kotlin compiler in the cache folder, not installed. Skips, with the reason, where it cannot be had."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_tests.targets import host
from device_tests.targets.debian.apt_root import AptRoot
from device_tests.targets.debian.apt_sources import archive_sources, read_sources
from device_tests.targets.debian.debs import unpack
from device_tests.targets.stages import SetUpStage, ensure, locked
from hetero.errors import InputError
from hetero.files import cache_directory
from hetero.processes import children

_PACKAGES = ("kotlin", "libtrove-intellij-java", "libjetbrains-annotations-java", "libandroid-json-org-java")
_COMPILER = (
    "kotlin-compiler-1",
    "kotlin-reflect-1",
    "kotlin-script-runtime-1",
    "libtrove-intellij-",
    "kotlin-stdlib-1",
)
_LIBRARIES = ("kotlin-stdlib-1", "kotlin-stdlib-jdk7-1", "json-android-", "org.jetbrains.annotations-java8-")
"""``org.json`` is Android's."""


def compiled(sources: Sequence[Path], folder: Path) -> list[str]:
    """Compile Kotlin for the JVM, and return the command that starts the program's ``main`` in ``Main.kt``."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("needs Java, found none")
    jars = _jars()
    libraries = _path(jars, _LIBRARIES)
    command = [java, "-Xmx700m", "-XX:TieredStopAtLevel=1", "-cp", _path(jars, _COMPILER) + ":" + libraries]
    command += ["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-Werror"]
    done = children.run([*command, "-cp", libraries, "-d", folder, *sources])
    assert done.returncode == 0, done.stderr
    return [java, "-Xmx400m", "-cp", f"{folder}:{libraries}", "hetero.MainKt"]


def _jars() -> Path:
    root = cache_directory() / "kotlin"
    try:
        machine = host.detect()
        with locked(root, say=print) as lock:
            ensure(root, SetUpStage("packages", "downloading Kotlin", [machine.codename], lambda to: _fetch(to, lock)))
    except InputError as error:
        pytest.skip(f"needs Debian's Kotlin compiler: {error}")
    return root / "packages" / "usr" / "share" / "java"


def _fetch(folder: Path, lock: int) -> None:
    machine = host.detect()
    sources = archive_sources(read_sources(), machine.codename, machine.architecture)
    stanzas = [source.stanza(machine.architecture, source.suites) for source in sources]
    apt = AptRoot(folder / "apt", machine.architecture, stanzas, lock)
    apt.update()
    for package in _PACKAGES:
        apt.download(package)
    unpack(folder / "apt" / "archives", folder)
    shutil.rmtree(folder / "apt")


def _path(jars: Path, starts: Sequence[str]) -> str:
    return ":".join(str(next(jars.glob(f"{start}*.jar"))) for start in starts)
