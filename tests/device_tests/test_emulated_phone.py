"""The emulated phone itself. Set up once in the cache: about half a minute where the archives are near."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_tests.answers.embeddings import embeddings_file, load_embeddings
from device_tests.checks.finding import GALLERY, TEXT
from device_tests.checks.gates import Gates
from device_tests.faults.catalogue import FAULTS
from device_tests.faults.quantised import with_int8
from device_tests.faults.trial import try_fault
from device_tests.ladder.climb import check_model, run_model
from device_tests.ladder.running import Job
from device_tests.ladder.verify import verify
from device_tests.targets.desktop import Desktop
from device_tests.targets.emulated import setup as phone_setup
from device_tests.targets.emulated.phone import EmulatedPhone
from device_tests.targets.emulated.systems import ARM64, ARMV7, System
from device_tests.targets.host import detect
from device_tests.targets.target import Returned
from export.bundle.reading import read_bundle
from hetero.errors import InputError
from hetero.files import read_json
from tests.device_tests.killed_setup import finished, kill_while_making
from tests.device_tests.test_carried import carrying
from tests.device_tests.tiny_bundle import write_bundle

pytestmark = [pytest.mark.slow, pytest.mark.emulator]


@pytest.fixture(autouse=True)
def a_machine_that_can() -> None:
    try:
        detect()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[System], Path]:
    """Where a system is set up, once: since the one in the cache was made, its packages' archive may have moved on."""

    @functools.cache
    def made(name: str) -> Path:
        return tmp_path_factory.mktemp(name) / "phone"

    return lambda system: made(system.name)


def test_the_ladder_on_two_processors(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    verdict = verify([bundle], ["desktop", "phone-arm64", "phone-arm64:max"], tmp_path / "out")
    assert [(row.target, row.format, row.rung, row.reason) for row in verdict.rows if row.status != "pass"] == []
    assert verdict.exit_code == 0
    about = verdict.about["targets"]["phone-arm64"]
    assert about["processor"] == "cortex-a55 (emulated)"
    assert about["system"].startswith("Linux aarch64")
    assert {about[name] for name in ("onnxruntime", "numpy")} == {
        verdict.about["targets"]["desktop"][name] for name in ("onnxruntime", "numpy")
    }
    cost = next(row for row in verdict.rows if row.target == "phone-arm64" and row.rung == "cost")
    assert cost.figures["latency_is"] == "emulated"
    for format in ("onnx", "litert"):
        here, there = (
            load_embeddings(embeddings_file(tmp_path / "out", "tiny", target, format, "fp32"))
            for target in ("desktop", "phone-arm64")
        )
        assert here is not None and there is not None
        np.testing.assert_allclose(here.query, there.query, atol=2e-6)


def test_the_phone_searches_the_gallery_that_the_bundle_carries(tmp_path: Path) -> None:
    """By usearch for ARM, in the file that was written here; it finds what this machine finds."""
    bundle = read_bundle(carrying(tmp_path))
    (entry,) = bundle.manifest.models
    phone, desktop = EmulatedPhone(ARM64), Desktop()
    answers: list[Returned] = []
    for target in (phone, desktop):
        target.set_up()
        try:
            answers.append(run_model(bundle, entry, target))
        finally:
            target.close()
    findings = {one.rung: one for one in check_model(bundle, entry, answers[0], Gates(largest_loss=0.25))}
    assert {one.status for one in findings.values()} == {"pass"}, findings
    assert findings[GALLERY].figures["items"] == 4800 and findings[GALLERY].figures["recall@10"] > 0.99
    there, here = (answer.exact for answer in answers)
    assert there is not None and here is not None
    assert np.mean(there[:, 0] == here[:, 0]) > 0.95


def test_texts_find_the_photos_that_the_phone_embedded(tmp_path: Path) -> None:
    """As on the desktop, in float32 and int8; what is wrong with texts or student fails on the phone's own vectors."""
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx", "litert"), texts=True))
    whole = bundle.model("onnx")
    assert whole is not None
    reduced = with_int8(bundle, whole, tmp_path / "int8")
    phone = EmulatedPhone(ARM64)
    gates = Gates(largest_loss=0.05)  # 48 texts are too few to show a loss of one in a hundred
    for machine in (Desktop(), phone):
        machine.set_up()
        for held, model in [(bundle, one) for one in bundle.manifest.models] + [(reduced, reduced.manifest.models[0])]:
            findings = check_model(held, model, Job(held, model, machine).run(), gates)
            (finding,) = [one for one in findings if one.rung == TEXT]
            assert (finding.status, finding.reason) == ("pass", ""), (machine.name, model.file, model.precision)
            assert finding.figures["texts"] == 48 and finding.figures["share_of_cloud"] > 0.8
    for fault in (fault for fault in FAULTS if fault.rung == TEXT):
        for held, precision in ((bundle, "fp32"), (reduced, "int8")):
            outcome = try_fault(dataclasses.replace(fault, precision=precision), held, phone, gates)
            assert (outcome.answer, TEXT in outcome.failed) == ("caught", True), outcome
    phone.close()


def test_an_old_32_bit_phone(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    verdict = verify([bundle], ["phone-armv7"], tmp_path / "out")
    about = verdict.about["targets"]["phone-armv7"]
    assert (about["tflite-runtime"], about["system"].split(",")[0]) == ("2.14.0", "Linux armv7l")
    statuses = {(row.format, row.rung): row.status for row in verdict.rows}
    assert {status for (format, _), status in statuses.items() if format == "onnx"} == {"n/a"}
    assert {status for (format, _), status in statuses.items() if format == "litert"} == {"pass"}
    assert verdict.exit_code == 0


def test_a_model_that_is_not_the_goldens_fails_there_too(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",), model_seed=3)
    assert verify([bundle], ["phone-arm64"], tmp_path / "out").exit_code == 1


def test_an_unknown_processor_is_told() -> None:
    with pytest.raises(InputError, match="cortex-a55"):
        EmulatedPhone(ARM64, "z80").set_up()


@pytest.mark.parametrize(
    ("system", "stage"),
    [(ARM64, "emulator"), (ARM64, "packages"), (ARM64, "wheels"), (ARM64, "site"), (ARMV7, "packages")],
)
def test_a_killed_set_up_continues_to_the_same_result(
    tmp_path: Path, uninterrupted: Callable[[System], Path], system: System, stage: str
) -> None:
    """Killed while ``stage`` is being made; what was finished before is not made again."""
    other = uninterrupted(system)
    whole = phone_setup.set_up(system, other)
    expected = read_json(other / "phone.json")
    if stage == "emulator" and whole.guest.emulator.parent.name != "emulator":
        pytest.skip("the emulator of this machine's PATH is used")
    root = tmp_path / "phone"
    code = "from pathlib import Path; from device_tests.targets.emulated.setup import set_up; "
    code += "from device_tests.targets.emulated.systems import SYSTEMS; "
    code += f"set_up(SYSTEMS[{system.name!r}], Path({str(root)!r}))"
    before = kill_while_making(stage, root, code)
    assert not (root / "phone.json").exists()
    phone_setup.set_up(system, root)
    assert read_json(root / "phone.json") == expected
    assert finished(root).items() >= before.items()
    assert [path.name for path in root.glob(".*")] == []
