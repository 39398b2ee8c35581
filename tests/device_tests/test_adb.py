"""Devices that cannot be used: a scripted ``adb``. What a device that can be used does is in test_phone_system.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_tests.ladder.verify import verify
from device_tests.targets.adb import client
from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.adb.device import Device
from device_tests.targets.adb.phone import AndroidPhone
from device_tests.targets.emulated.runtime_folder import RuntimeFolder
from device_tests.targets.registry import target
from device_tests.targets.target import Request
from hetero.errors import InputError
from tests.device_tests.fake_adb import write_adb
from tests.device_tests.tiny_bundle import write_bundle


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def made(devices: dict[str, str], answers: dict[str, tuple[int, str, str]] | None = None) -> Path:
        program, log = write_adb(tmp_path, devices, answers)
        monkeypatch.setenv(client.PROGRAM, str(program))
        return log

    return made


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("unauthorized", "allow USB debugging on its screen"),
        ("offline", "plug it in again"),
        ("no permissions (user in plugdev group; are your udev rules wrong?)", "udev rules"),
        ("recovery", "recovery mode"),
        ("something new", "adb calls it 'something'"),
    ],
)
def test_a_device_that_is_not_ready_says_what_to_do(use, state: str, told: str) -> None:
    use({"R5CT": state})
    with pytest.raises(DeviceError, match=told):
        AndroidPhone("R5CT").set_up()


def test_a_device_that_is_not_attached_is_told_with_those_that_are(use) -> None:
    use({"emulator-5554": "device", "R5CT": "offline"})
    with pytest.raises(DeviceError, match=r"no device X1 is attached; attached: emulator-5554 \(device\), R5CT"):
        AndroidPhone("X1").state()
    use({})
    with pytest.raises(DeviceError, match="attached: none"):
        AndroidPhone("X1").state()


def test_without_adb_there_is_a_way_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (client.PROGRAM, "ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="platform tools"):
        client.find()
    monkeypatch.setenv(client.PROGRAM, str(tmp_path / "none"))
    with pytest.raises(InputError, match="which is no program"):
        client.find()


def test_adb_of_an_sdk_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "platform-tools").mkdir()
    program, _ = write_adb(tmp_path / "platform-tools", {})
    monkeypatch.delenv(client.PROGRAM, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    assert client.find() == program


def test_an_unusable_device_is_not_verified_and_never_a_pass(use, tmp_path: Path) -> None:
    use({"R5CT": "unauthorized"})
    verdict = verify([write_bundle(tmp_path / "b", formats=("onnx",))], ["adb:R5CT"], tmp_path / "out")
    assert verdict.exit_code == 3
    assert {row.status for row in verdict.rows} == {"not verified"}
    assert all("USB debugging" in row.reason for row in verdict.rows)


def test_another_processor_is_refused_by_name(use) -> None:
    use({"R5CT": "device"}, {"shell -T uname -m": (0, "armv8l\n", "")})
    with pytest.raises(DeviceError, match=r"processor armv8l; expected aarch64 or x86_64"):
        AndroidPhone("R5CT").set_up()


def run_on(adb: Adb, tmp_path: Path):
    archive = tmp_path / "runtime.tar"
    archive.write_bytes(b"x")
    device = Device(adb, RuntimeFolder(archive, "0" * 64, "ld.so", "python3", {}), emulated=False)
    request = Request("x", "onnxruntime", archive, np.zeros((1, 1, 1, 3), np.uint8))
    answer = device.run(request, lambda _done, _total: None)
    device.close()
    return answer


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("adb: error: failed to copy: remote couldn't write file: No space left on device", "no space left"),
        ("error: device 'R5CT' not found", "plug it in and run the same command again"),
        ("adb: error: connect failed: closed", "plug it in and run the same command again"),
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "allow USB debugging"),
        ("error: device offline", "is offline"),
    ],
)
def test_what_goes_wrong_while_files_are_sent_is_told(use, tmp_path: Path, said: str, told: str) -> None:
    log = use(
        {"R5CT": "device"},
        {"push": (1, "", said), "shell -T rm -rf /data/local/tmp/hetero ": (0, "", ""), "shell": (0, "", "")},
    )
    answer = run_on(Adb([client.find()], "R5CT"), tmp_path)
    assert answer.not_verified
    assert answer.embeddings is None
    assert told in answer.error
    assert "rm -rf /data/local/tmp/hetero && ! test -e" in log.read_text().splitlines()[-1], "it is cleaned up"


def test_a_file_that_arrives_torn_is_not_used(use, tmp_path: Path) -> None:
    use({"R5CT": "device"}, {"push": (0, "", ""), "shell": (0, "", "")})
    answer = run_on(Adb([client.find()], "R5CT"), tmp_path)
    assert "did not arrive whole" in answer.error
    assert answer.not_verified


def test_devices_are_targets_by_their_serial_number() -> None:
    assert target("adb:192.168.0.7:5555").name == "adb:192.168.0.7:5555"
    with pytest.raises(InputError, match="adb:SERIAL"):
        target("adb:")
