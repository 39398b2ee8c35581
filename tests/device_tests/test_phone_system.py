"""A whole emulated device over ADB: push, run, pull, clean up; and what happens when it goes away in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from device_tests.answers.embeddings import embeddings_file, load_embeddings
from device_tests.ladder.running import Job
from device_tests.ladder.verify import verify
from device_tests.latency.measure import measure_latency
from device_tests.targets.adb.client import Adb
from device_tests.targets.adb.device import Device
from device_tests.targets.adb.storage import PLACE, Storage
from device_tests.targets.emulated.runtime_folder import runtime_folder
from device_tests.targets.emulated.systems import ARM64
from device_tests.targets.host import detect
from device_tests.targets.system import setup
from device_tests.targets.system.machine import Machine, running
from device_tests.targets.system.target import PhoneSystem
from device_tests.targets.target import Request
from export.bundle.reading import read_bundle
from hetero.errors import InputError
from hetero.models.config import Stage
from hetero.nas.cost.cost import layer_cost
from hetero.nas.cost.latency_table import LatencyTable
from hetero.nas.cost.layers import Layer
from tests.device_tests.killed_setup import finished, kill_while_making
from tests.device_tests.tiny_bundle import write_bundle
from tests.device_tests.tiny_models import HEIGHT, WIDTH

pytestmark = [pytest.mark.slow, pytest.mark.emulator]


@pytest.fixture(scope="module")
def made() -> setup.SetUp:
    try:
        detect()
        return setup.set_up()
    except InputError as error:
        pytest.skip(str(error))


def test_the_ladder_and_then_a_device_that_dies(
    tmp_path: Path, made: setup.SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    left: list[str] = []
    end = Device.close

    def close(self: Device) -> None:
        end(self)
        left.append(self._adb.shell(f"ls -A {Path(PLACE).parent}"))

    monkeypatch.setattr(Device, "close", close)
    verdict = verify([bundle], ["desktop", "phone-system"], tmp_path / "out")
    assert verdict.exit_code == 0
    assert {row.status for row in verdict.rows} == {"pass"}
    assert left == [""]
    about = verdict.about["targets"]["phone-system"]
    assert about["processor"] == "cortex-a55 (emulated)"
    cost = next(row for row in verdict.rows if (row.target, row.rung) == ("phone-system", "cost"))
    assert cost.figures["latency_is"] == "emulated"
    for format in ("onnx", "litert"):
        here, there = (
            load_embeddings(embeddings_file(tmp_path / "out", "tiny", target, format, "fp32"))
            for target in ("desktop", "phone-system")
        )
        assert here is not None and there is not None
        np.testing.assert_allclose(here.query, there.query, atol=2e-6)

    monkeypatch.undo()
    started: list[Machine] = []
    begin = Machine.__init__

    def start(self: Machine, *arguments: object, **options: object) -> None:
        begin(self, *arguments, **options)  # type: ignore[arg-type]
        started.append(self)

    def switch_off() -> None:
        while not started:
            time.sleep(0.1)
        time.sleep(3)
        started[0]._tethered[0].kill()

    monkeypatch.setattr(Machine, "__init__", start)
    killer = threading.Thread(target=switch_off)
    killer.start()
    died = verify([bundle], ["phone-system"], tmp_path / "out", again=True)
    killer.join()
    assert died.exit_code == 3
    assert {row.status for row in died.rows} == {"not verified"}
    assert "phone-system" not in [path.name.split(".")[1] for path in (tmp_path / "out" / "embeddings").iterdir()]


def test_instructions_are_nearly_the_same_every_time(tmp_path: Path, made: setup.SetUp) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    (entry,) = bundle.manifest.models
    target = PhoneSystem(counting=True)
    target.set_up()
    answers = [Job(bundle, entry, target).run(again=True) for _ in range(2)]
    wide, narrow = (Layer("inverted_residual", 16, 16, side, side, 1, Stage(channels=16)) for side in (16, 8))
    table = measure_latency(target, [wide, narrow], sweeps=1)
    target.close()
    assert all(answer.counts_instructions for answer in answers)
    first, second = (1e9 * float(np.median(answer.latency_seconds)) for answer in answers)
    assert first == pytest.approx(second, rel=0.05)
    # At four multiply-accumulates an instruction, without a word of the interpreter's.
    assert bundle.manifest.macs / 4 < first < 1e9
    assert (table.target["name"], table.unit) == ("phone-system:count", "instructions")
    for runtime in ("onnxruntime", "litert"):
        assert layer_cost(wide).macs / 4 < table.predict([wide], runtime) < 20 * layer_cost(wide).macs
        assert 1.5 < _beyond_the_call(table, wide, runtime) / _beyond_the_call(table, narrow, runtime) < 5


def _beyond_the_call(table: LatencyTable, layer: Layer, runtime: str) -> float:
    return table.predict([layer], runtime) - table.measured[runtime].call


@pytest.fixture(scope="module")
def adb(made: setup.SetUp) -> Generator[Adb]:
    with running(made.image, made.tools) as device:
        yield device


def test_what_an_interrupted_run_pushed_whole_is_not_pushed_again(tmp_path: Path, adb: Adb) -> None:
    whole, half = tmp_path / "whole.bin", tmp_path / "half.bin"
    whole.write_bytes(b"a" * 100_000)
    half.write_bytes(b"b" * 100_000)
    first = Storage(adb)
    first.put([whole, half])
    there, broken = first.address(whole), first.address(half)
    adb.shell(f"head -c 50000 {broken} > {broken}.cut; mv {broken}.cut {broken}")
    number = adb.shell(f"ls -i {there}")
    again = Storage(adb)
    again.put([whole, half])
    assert adb.shell(f"wc -c < {broken}").strip() == "100000"
    assert adb.shell(f"ls -i {there}") == number, "it was pushed again"
    again.remove()
    assert adb.shell(f"ls -A {Path(PLACE).parent}") == ""


def test_a_full_device_says_so_and_a_later_run_succeeds(tmp_path: Path, adb: Adb) -> None:
    adb.shell("dd if=/dev/zero of=/data/ballast bs=1048576 count=500")
    device = Device(adb, runtime_folder(ARM64), emulated=True)
    model = write_bundle(tmp_path / "b", formats=("onnx",)) / "model.fp32.onnx"
    request = Request("x", "onnxruntime", model, np.zeros((2, HEIGHT, WIDTH, 3), np.uint8))
    full = device.run(request, lambda _done, _total: None)
    assert full.not_verified
    assert "no space left" in full.error
    adb.shell("rm /data/ballast")
    assert device.run(request, lambda _done, _total: None).embeddings is not None
    device.close()


def test_it_listens_on_loopback_alone(made: setup.SetUp) -> None:
    """As the kernel lists who listens: addresses and ports in hexadecimal."""
    with running(made.image, made.tools) as adb:
        port = f"{int(adb.serial.rpartition(':')[2]):04X}"
        assert {address for address, number in _listening() if number == port} == {"0100007F"}


def test_a_device_that_cannot_start_says_why(made: setup.SetUp, tmp_path: Path) -> None:
    from dataclasses import replace

    target = PhoneSystem()
    broken = replace(made, image=replace(made.image, kernel=tmp_path / "none"))
    target._made = broken, runtime_folder(ARM64)
    request = Request("x", "onnxruntime", tmp_path / "m", np.zeros((1, 1, 1, 3), np.uint8))
    answer = target.run(request, lambda _done, _total: None)
    assert answer.not_verified
    assert "did not start" in answer.error


def _listening() -> set[tuple[str, str]]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {(row[1].split(":")[0], row[1].split(":")[1]) for row in rows if row[3] == "0A"}


@pytest.mark.parametrize("stage", ["kernel", "trial"])
def test_a_killed_set_up_continues_to_the_same_device(tmp_path: Path, made: setup.SetUp, stage: str) -> None:
    """What was finished before is not made again; with ``trial``, the device is starting while its set-up is killed."""
    root = tmp_path / "device"
    code = "from pathlib import Path; from device_tests.targets.system.setup import set_up; "
    code += f"set_up(Path({str(root)!r}))"
    before = kill_while_making(stage, root, code)
    again = setup.set_up(root)
    assert again.versions == made.versions
    assert finished(root).items() >= before.items()
    assert [path.name for path in root.glob(".*")] == []
