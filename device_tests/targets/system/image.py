"""The system that a fully emulated device starts: a Debian kernel's modules, busybox and a real ``adbd``, in memory."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

from device_tests.targets.system import cpio
from hetero.errors import InputError

DEVICE_PACKAGES = ("adbd", "busybox-static")
"""Debian's, beside what these depend on."""
STORAGE_MEGABYTES = 700
"""Size of ``/data``; it takes memory only as it fills."""
DEVICE_PORT = 5555
"""Where adbd listens inside."""

_DRIVERS = ("failover", "net_failover", "virtio_net")
"""What the kernel lacks to see the emulator's network, in the order of their dependence."""
_LIBRARIES = "usr/lib/aarch64-linux-gnu"
_ADBD = "usr/lib/android-sdk/platform-tools/adbd"

# Addresses are those of QEMU's user network; the guest reaches nothing else through it.
_INIT = """\
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /tmp
mount -t devpts pts /dev/pts
mount -t tmpfs -o size={storage}m data /data
mkdir -p /data/local/tmp
for driver in {drivers}; do insmod /drivers/$driver.ko || echo "cannot load $driver"; done
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
echo "hetero: the system is up"
while true; do
    {adbd}
    echo "hetero: adbd ended with status $?"
    sleep 1
done
"""


def initial_system(root: Path, modules: Path) -> bytes:
    """The initial RAM file system, compressed.

    Args:
        root: Unpacked packages of adbd, what it depends on, and busybox.
        modules: Folder of the kernel's modules.

    Raises:
        InputError: When a package lacks what is expected of it.
    """
    entries = {
        "init": _program(_INIT.format(storage=STORAGE_MEGABYTES, drivers=" ".join(_DRIVERS), adbd=f"/{_ADBD}")),
        "dev/console": cpio.console(),
        "bin/busybox": cpio.file(_read(root / "usr" / "bin" / "busybox"), program=True),
        # adbd starts this shell, as on Android.
        "system/bin/sh": cpio.link("/bin/busybox"),
        _ADBD: cpio.file(_read(root / _ADBD), program=True),
        "lib/ld-linux-aarch64.so.1": cpio.link(f"/{_LIBRARIES}/ld-linux-aarch64.so.1"),
        "lib/aarch64-linux-gnu": cpio.link(f"/{_LIBRARIES}"),
        "etc/passwd": cpio.file(b"root::0:0:root:/:/bin/sh\nshell::2000:2000:shell:/:/bin/sh\n"),
        **{place: cpio.directory() for place in ("proc", "sys", "data", "tmp")},
    }
    for library in sorted((root / _LIBRARIES).rglob("*.so*")):
        if library.parent.name in ("aarch64-linux-gnu", "android"):
            content = library.resolve().read_bytes()
            entries[library.relative_to(root).as_posix()] = cpio.file(content, program=True)
    for driver in _DRIVERS:
        entries[f"drivers/{driver}.ko"] = cpio.file(_module(modules, driver))
    return gzip.compress(cpio.archive(entries), compresslevel=1, mtime=0)


def _program(text: str) -> cpio.ArchiveEntry:
    return cpio.file(text.encode(), program=True)


def _module(folder: Path, name: str) -> bytes:
    found = sorted(folder.rglob(f"{name}.ko*"))
    if not found:
        raise InputError(f"the kernel's package has no module {name}")
    content = found[0].read_bytes()
    return lzma.decompress(content) if found[0].suffix == ".xz" else content


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"the packages of the emulated device hold no {path.name}")
    return path.read_bytes()
