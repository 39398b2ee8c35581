"""A real ``adbd`` on this machine's own processor, in a network of its own: the way over ADB without emulation."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from device_tests.ladder import verify as verification
from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.adb.device import Device
from device_tests.targets.debian import debs
from device_tests.targets.debian.debs import Archives
from device_tests.targets.emulated.runtime_folder import RuntimeFolder, runtime_folder
from device_tests.targets.emulated.systems import AMD64
from device_tests.targets.host import detect
from device_tests.targets.stages import SetUpStage, ensure, locked
from device_tests.targets.system import setup
from device_tests.targets.target import Progress, Request, Returned, Timing
from hetero.errors import InputError
from hetero.files import cache_directory
from tests.device_tests.tiny_bundle import write_bundle

pytestmark = [pytest.mark.slow, pytest.mark.emulator]
# adbd listens on every interface, so it gets a network without any.
SERVE = "ip link set lo up; {adbd} >/dev/null 2>&1 & {adb} -L {server} --one-device none server nodaemon"


class Here:
    """An attached x86-64 device."""

    name, emulated, runtimes = "here", False, dict(AMD64.runtimes)

    def __init__(self, adb: Adb, runtime: RuntimeFolder, place: str) -> None:
        self.device = Device(adb, runtime, emulated=False, place=place)

    def set_up(self) -> None: ...

    def state(self) -> str:
        return "ready"

    def describe(self) -> dict[str, str]:
        return {"system": "this machine"}

    def run(self, request: Request, progress: Progress) -> Returned:
        return self.device.run(request, progress)

    def close(self) -> None:
        self.device.close()


@pytest.fixture(scope="module")
def runtime() -> RuntimeFolder:
    try:
        return runtime_folder(AMD64)
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def adbd() -> Path:
    """The daemon's packages, beside the set-ups in the cache."""
    machine = detect()
    if machine.distribution != "debian" or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs Debian's archives, unshare and ip")
    root = cache_directory() / "test-adbd"

    def unpacked(folder: Path) -> None:
        packages = root / "packages"
        packages.mkdir(exist_ok=True)
        for path in Archives(machine, "amd64", "trixie", root / "work", lock).download(["adbd"]):
            shutil.copy(path, packages)
        debs.unpack(packages, folder)

    with locked(root, say=print) as lock:
        ensure(root, SetUpStage("system", "", 1, unpacked))
    return root / "system"


class Daemon:
    """The daemon and an ``adb`` for it alone; killed together, as a phone is unplugged."""

    def __init__(self, system: Path, folder: Path) -> None:
        tools = setup.set_up().tools
        libraries = system / "usr" / "lib" / "x86_64-linux-gnu"
        loader = f"{libraries}/ld-linux-x86-64.so.2 --library-path {libraries}:{libraries}/android"
        server = f"localfilesystem:{folder}/adb"
        script = SERVE.format(
            adbd=f"{loader} {system}/usr/lib/android-sdk/platform-tools/adbd",
            adb=" ".join(map(str, tools.adb())),
            server=server,
        )
        environment = {"HOME": str(folder), "TMPDIR": str(folder), "ADB_SERVER_SOCKET": server}
        self._process = subprocess.Popen(
            ["unshare", "-rn", "--kill-child", "--fork", "--pid", "sh", "-c", script],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.adb = Adb(tools.adb(), "127.0.0.1:5555", environment)

    def wait(self) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            time.sleep(0.5)
            connect = [*self.adb.program, "connect", self.adb.serial]
            subprocess.run(connect, env=self.adb.variables, capture_output=True, check=False)
            try:
                self.adb.require()
                return
            except DeviceError:
                continue
        pytest.fail("adbd does not answer")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def daemon(adbd: Path, tmp_path: Path) -> Generator[Daemon]:
    (tmp_path / "adb-home").mkdir()
    started = Daemon(adbd, tmp_path / "adb-home")
    started.wait()
    yield started
    started.kill()


def test_push_run_pull_and_clean_up(
    tmp_path: Path, daemon: Daemon, runtime: RuntimeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "phone" / "hetero"
    target = Here(daemon.adb, runtime, str(place))
    monkeypatch.setattr(verification, "target_called", lambda _name: target)
    monkeypatch.setattr(verification, "_resizers", lambda _bundle, again: [])
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    verdict = verification.verify([bundle], ["here"], tmp_path / "out")
    assert verdict.exit_code == 0
    assert {row.status for row in verdict.rows} == {"pass"}
    assert list(place.parent.iterdir()) == []


def test_models_are_timed_over_adb(tmp_path: Path, daemon: Daemon, runtime: RuntimeFolder) -> None:
    place = tmp_path / "phone" / "hetero"
    device = Device(daemon.adb, runtime, emulated=False, place=str(place))
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    for engine, suffix in (("onnxruntime", "onnx"), ("litert", "tflite")):
        told: list[tuple[int, int]] = []
        model = bundle / f"model.fp32.{suffix}"
        timed = device.time(Timing(engine, (model, model)), lambda *now, told=told: told.append(now))
        assert len(timed.seconds) == 2 and min(timed.seconds) > 0
        assert timed.version
        assert told == [(1, 2), (2, 2)]
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(InputError, match="onnxruntime cannot time a model on the device"):
        device.time(Timing("onnxruntime", (broken,)), lambda _done, _total: None)
    device.close()
    assert list(place.parent.iterdir()) == []


def test_a_device_that_is_unplugged_in_the_middle_is_not_verified_and_the_next_run_continues(
    tmp_path: Path, daemon: Daemon, adbd: Path, runtime: RuntimeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "phone" / "hetero"
    target = Here(daemon.adb, runtime, str(place))
    monkeypatch.setattr(verification, "target_called", lambda _name: target)
    monkeypatch.setattr(verification, "_resizers", lambda _bundle, again: [])
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))

    def unplug() -> None:
        while not list(place.glob("runtime-*[0-9a-f]")) or not list(place.glob("job-*")):
            time.sleep(0.02)
        daemon.kill()

    thread = threading.Thread(target=unplug)
    thread.start()
    verdict = verification.verify([bundle], ["here"], tmp_path / "out")
    thread.join()
    assert verdict.exit_code == 3
    assert {row.status for row in verdict.rows} == {"not verified"}
    assert "plug it in" in verdict.rows[0].reason
    assert not list((tmp_path / "out").glob("embeddings/*"))
    (pushed,) = (path for path in place.glob("runtime-*") if path.is_dir())
    made = pushed.stat().st_ctime_ns

    (tmp_path / "adb-again").mkdir()
    again = Daemon(adbd, tmp_path / "adb-again")
    try:
        again.wait()
        ready = target.device = Device(again.adb, runtime, emulated=False, place=str(place))
        ready._ready()
        assert pushed.stat().st_ctime_ns == made, "the runtimes were pushed again"
        assert verification.verify([bundle], ["here"], tmp_path / "out").exit_code == 0
        assert list(place.parent.iterdir()) == []
    finally:
        again.kill()
