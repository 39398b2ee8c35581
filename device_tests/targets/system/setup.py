"""Set up the fully emulated device below the cache folder: without root, in stages that survive an interruption."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from device_tests.targets.debian import debs
from device_tests.targets.debian.debs import Archives
from device_tests.targets.host import Host, detect
from device_tests.targets.stages import SetUpStage, ensure, is_done, locked, remove_unfinished, stage_record
from device_tests.targets.system.image import DEVICE_PACKAGES, initial_system
from device_tests.targets.system.machine import CORE, Image, Tools, running
from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.files import cache_directory, read_json, write_bytes, write_json

NAME = "phone-system"
_RECIPE = 1
_STAGES = 6
_WORK = "work"
# An emulator that knows the core, the adb of the same Android release as the adbd, and their kernel: one release.
_RELEASE = "trixie"
_TOOL_PACKAGES = ("qemu-system-arm", "adb")
_KERNEL = "linux-image-cloud-arm64"
_ARCHITECTURE = "arm64"
# Of the tools' packages, only the parts that the two programs need when started here.
_TOOL_PLACES = ("usr/bin/qemu-system-aarch64", "usr/lib/android-sdk", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")


def directory() -> Path:
    """Return the device's folder."""
    return cache_directory() / NAME


@dataclass(frozen=True)
class SetUp:
    """A device that can be started.

    Attributes:
        image: The software that it starts.
        tools: The programs that start it and talk to it.
        versions: Its versions, as its trial reported them.
    """

    image: Image
    tools: Tools
    versions: dict[str, str]


def set_up(root: Path | None = None) -> SetUp:
    """Set the device up, or return the existing one.

    Args:
        root: Its folder; the cache's by default.

    Raises:
        InputError: If it is unavailable on this machine, with the reason.
    """
    root = root or directory()
    machine = _machine()
    if (device := _ready(root, machine)) is not None:
        return device
    with locked(root, say=tqdm.write) as lock:
        remove_unfinished(root)
        # While this exists the setup is not finished.
        (root / _WORK).mkdir(exist_ok=True)
        with Bar(total=_STAGES, unit="stage", desc=NAME) as bar:
            for stage in _stages(root, machine, lock):
                bar.set_postfix_str(stage.doing)
                ensure(root, stage)
                bar.update()
        shutil.rmtree(root / _WORK)
    device = _ready(root, machine)
    if device is None:
        raise InputError(f"the emulated device at {root} changed while it was set up; set it up again")
    return device


def existing() -> SetUp | None:
    """Return the device if it is set up.

    Raises:
        InputError: If it is unavailable on this machine.
    """
    return _ready(directory(), _machine())


def _machine() -> Host:
    machine = detect()
    if machine.distribution != "debian":
        raise InputError(f"{NAME} is made of Debian's packages (a kernel and adbd); this is {machine.distribution}")
    return machine


def _ready(root: Path, machine: Host) -> SetUp | None:
    if not (root / "trial" / "versions.json").is_file() or (root / _WORK).exists():
        return None
    if not all(is_done(root, stage) for stage in _stages(root, machine, lock=-1)):
        return None
    return SetUp(_image(root), Tools(root / "tools"), read_json(root / "trial" / "versions.json"))


def _stages(root: Path, machine: Host, lock: int) -> Iterator[SetUpStage]:
    work = root / _WORK

    def tree(name: str) -> object:
        return stage_record(root, name).get("tree")

    def archives(architecture: str, name: str) -> Archives:
        return Archives(machine, architecture, _RELEASE, work / name, lock)

    def packages(folder: Path) -> None:
        for path in archives(machine.architecture, "tools").download(_TOOL_PACKAGES):
            shutil.copy(path, folder / path.name)

    def device_packages(folder: Path) -> None:
        for path in archives(_ARCHITECTURE, "device").download(DEVICE_PACKAGES):
            shutil.copy(path, folder / path.name)

    def tools(folder: Path) -> None:
        whole = work / "tools-unpacked"
        shutil.rmtree(whole, ignore_errors=True)
        debs.unpack(root / "packages", whole)
        for place in _TOOL_PLACES:
            if (whole / place).exists():
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(whole / place, folder / place)

    def kernel(folder: Path) -> None:
        packed, whole = work / "kernel-package", work / "kernel-unpacked"
        for place in (packed, whole):
            shutil.rmtree(place, ignore_errors=True)
        packed.mkdir(parents=True)
        shutil.copy(archives(_ARCHITECTURE, "device").download_newest(_KERNEL), packed)
        debs.unpack(packed, whole)
        shutil.move(next((whole / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
        shutil.move(whole / "usr" / "lib" / "modules", folder / "modules")

    def image(folder: Path) -> None:
        whole = work / "device-unpacked"
        shutil.rmtree(whole, ignore_errors=True)
        debs.unpack(root / "device-packages", whole)
        write_bytes(folder / "initrd", initial_system(whole, root / "kernel" / "modules"))

    def trial(folder: Path) -> None:
        with running(_image(root), Tools(root / "tools")) as device:
            kernel = device.shell("uname -sr").strip()
        versions = Tools(root / "tools").versions()
        write_json(folder / "versions.json", {"processor": f"{CORE} (emulated)", "kernel": kernel, **versions})

    release = [_RECIPE, _RELEASE]
    yield SetUpStage("packages", "downloading the emulator and adb", [*release, _TOOL_PACKAGES], packages)
    yield SetUpStage("tools", "unpacking them", [_RECIPE, tree("packages"), _TOOL_PLACES], tools)
    yield SetUpStage("device-packages", "downloading the device's system", [*release, DEVICE_PACKAGES], device_packages)
    yield SetUpStage("kernel", "downloading its kernel", [*release, _KERNEL], kernel)
    image_is = [_RECIPE, tree("device-packages"), tree("kernel"), image_recipe()]
    yield SetUpStage("image", "making what it starts", image_is, image)
    yield SetUpStage("trial", "starting it", [_RECIPE, tree("tools"), tree("kernel"), tree("image")], trial)


def image_recipe() -> str:
    """Return everything that determines the image, beside its packages."""
    from device_tests.targets.system import image
    from hetero.files import sha256_file

    return sha256_file(Path(image.__file__))


def _image(root: Path) -> Image:
    return Image(root / "kernel" / "vmlinuz", root / "image" / "initrd")
