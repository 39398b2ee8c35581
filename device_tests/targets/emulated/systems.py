"""Systems that models run in, and their parts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from device_tests.targets.versions import RUNTIME_PACKAGES, installed_versions, modules_on, packages_on, search_packages
from export.kinds.format import Kind
from export.kinds.registry import engines_on

_TRIAL = """\
import importlib, json, platform
from importlib.metadata import version
for module in {modules}: importlib.import_module(module)
about = {{"machine": platform.machine(), "python": platform.python_version(), "libc": " ".join(platform.libc_ver())}}
print(json.dumps({{**about, **{{name: version(name) for name in {packages}}}}}))
"""


@dataclass(frozen=True)
class System:
    """A Linux system with runtimes.

    Attributes:
        name: The target's name.
        line: Description in ``hetero device list``.
        architecture: Debian's name of its architecture.
        emulator: The program that runs it; empty if this machine's processor does.
        core: An ordinary phone's processor model.
        older_cores: Alternatives for an emulator that lacks it.
        release: Debian's release to unpack; empty for this machine's own.
        packages: Debian packages, beside their dependencies.
        wheels: From the Python package index, by version; None for those installed on this machine.
        alone: True if the wheels come without their dependencies, since packages provide those.
        platforms: Tags of wheels that run there.
        libraries: Folders with libraries that its loader does not search by itself.
        modules: Modules that must be importable for it to count as ready.
        distributions: The distributions of these modules.
        kind: Kind of target.
    """

    name: str
    line: str
    architecture: str
    emulator: str
    core: str
    older_cores: tuple[str, ...]
    release: str
    packages: tuple[str, ...]
    wheels: tuple[tuple[str, str], ...]
    alone: bool
    platforms: tuple[str, ...]
    libraries: tuple[str, ...]
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    kind: Kind

    @property
    def runtimes(self) -> dict[str, str]:
        """Return the runtime of each format."""
        return engines_on(self.kind)

    @property
    def engines(self) -> tuple[str, ...]:
        """The runtimes among its distributions."""
        return tuple(name for name in self.distributions if name not in ("numpy", "pillow", *search_packages()))

    @property
    def versions(self) -> dict[str, str]:
        """Return the wheels' versions, by package.

        Raises:
            InputError: If they are this machine's, and one is not installed.
        """
        return dict(self.wheels) or installed_versions(self.distributions)

    @property
    def trial(self) -> str:
        """Return Python code that imports everything and prints the versions as JSON."""
        return _TRIAL.format(modules=self.modules, packages=self.distributions)


_BASE = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1")

ARM64 = System(
    name="phone-arm64",
    line="an emulated ARM64 phone (cortex-a55); phone-arm64:CORE for another processor, such as max",
    architecture="arm64",
    emulator="qemu-aarch64",
    core="cortex-a55",
    # Emulators without it also read the host's /proc/cpuinfo, which crashes ONNX Runtime.
    older_cores=("cortex-a76", "cortex-a53"),
    release="",
    packages=_BASE,
    wheels=(),
    alone=False,
    # Every manylinux tag up to the oldest glibc of a release that has Python 3.11.
    platforms=("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 36))),
    libraries=(),
    modules=(*modules_on("phone"), *search_packages()),
    distributions=(*RUNTIME_PACKAGES, *search_packages()),
    kind="phone",
)
"""A current phone, with this machine's versions of the runtimes."""

ARMV7 = System(
    name="phone-armv7",
    line="an emulated 32-bit phone (cortex-a7) with the old tflite-runtime 2.14",
    architecture="armhf",
    emulator="qemu-arm",
    core="cortex-a7",
    older_cores=(),
    # The last wheel of tflite-runtime is for Python 3.11 and numpy 1, which this release has.
    release="bookworm",
    packages=(*_BASE, "python3-numpy", "python3-pil"),
    wheels=(("tflite-runtime", "2.14.0"),),
    alone=True,
    platforms=("manylinux_2_34_armv7l",),
    libraries=("usr/lib/arm-linux-gnueabihf/blas", "usr/lib/arm-linux-gnueabihf/lapack"),
    modules=modules_on("old phone"),
    distributions=packages_on("old phone"),
    kind="old phone",
)
"""An old 32-bit phone, with the TensorFlow Lite that such phones still carry."""

AMD64 = dataclasses.replace(
    ARM64,
    name="runtime-amd64",
    architecture="amd64",
    emulator="",
    core="",
    older_cores=(),
    platforms=("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 36))),
)
"""The same for devices with an x86-64 processor, as most Android emulators have."""

SYSTEMS = {system.name: system for system in (ARM64, ARMV7)}
