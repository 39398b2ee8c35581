"""What is kept is what a runtime answered here about these very bytes, or it counts as nothing."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_tests.answers import kept
from device_tests.answers.golden_files import _made, golden_files
from device_tests.ladder.running import Job
from device_tests.ladder.verify import verify
from device_tests.runner.embedding import own_pixels
from device_tests.runner.engines import OnnxRuntime
from device_tests.targets.desktop import Desktop
from device_tests.targets.target import Progress, Request, Returned
from device_tests.verdict.verdict import GATE_FAILED
from export.bundle.reading import read_bundle
from hetero.errors import IntegrityError
from tests.device_tests.tiny_bundle import write_bundle

ANSWER = Returned(
    embeddings=np.arange(6, dtype=np.float32).reshape(3, 2),
    runtime="x 1",
    latency_seconds=np.array([0.1, 0.2, 0.3]),
    decode_errors=("", "no"),
    also={"other": np.ones((3, 2), np.float32)},
)


class Echo(Desktop):
    """Answers with the first bytes of the model that it is handed; meanwhile others are at work."""

    def __init__(self, meanwhile: Callable[[Request], object] = lambda _: None) -> None:
        super().__init__()
        self.meanwhile, self.runs = meanwhile, 0

    def run(self, request: Request, progress: Progress) -> Returned:
        self.runs += 1
        self.meanwhile(request)
        read = np.frombuffer(request.model.read_bytes()[:4], np.uint8).astype(np.float32)
        return Returned(embeddings=np.tile(read, (len(request.images), 1)))


def file_of(name: str) -> Path:
    return kept._file(name)


def test_an_answer_comes_back_as_it_was() -> None:
    kept.save("a", ANSWER)
    known = kept.load("a")
    assert known is not None
    for field in dataclasses.fields(Returned):
        assert str(getattr(known, field.name)) == str(getattr(ANSWER, field.name))
    assert kept.load("b") is None


def test_damage_is_a_miss() -> None:
    kept.save("a", ANSWER)
    whole = file_of("a").read_bytes()
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), whole[:place], whole + b"x"):
            file_of("a").write_bytes(damaged)
            assert kept.load("a") is None
    file_of("a").write_bytes(whole)
    assert kept.load("a") is not None


def test_an_answer_under_anothers_name_is_a_miss() -> None:
    kept.save("a", ANSWER)
    shutil.copy(file_of("a"), file_of("b"))
    assert kept.load("b") is None


def test_a_cache_from_elsewhere_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.save("a", ANSWER)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CONFIG_HOME", str(tmp_path))
        assert kept.load("a") is None
        kept.save("b", ANSWER)
    assert kept.load("a") is not None
    assert kept.load("b") is None


def test_the_key_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    kept.save("a", ANSWER)
    (key,) = (tmp_path / "hetero").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    assert kept.load("a") is None
    assert key.stat().st_mode & 0o777 == 0o600


def test_without_a_place_for_a_key_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    kept.save("a", ANSWER)
    assert not file_of("a").exists()
    assert kept.load("a") is None


def test_what_this_machine_failed_at_is_not_kept() -> None:
    kept.save("a", dataclasses.replace(ANSWER, incomplete=True))
    kept.save("b", Returned(error="no space left"))
    assert not file_of("a").exists()
    assert not file_of("b").exists()


def test_a_model_swapped_during_the_run_is_not_what_ran(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    (entry,) = bundle.manifest.models
    listed = bundle.file(entry).read_bytes()
    target = Echo(lambda _: bundle.file(entry).write_bytes(b"other"))
    answer = Job(bundle, entry, target).run()
    assert answer.embeddings is not None
    assert answer.embeddings[0].tolist() == list(listed[:4])


def test_an_answer_of_a_copy_that_was_changed_is_refused(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("coreml",)))
    (entry,) = bundle.manifest.models

    def change(request: Request) -> None:
        (request.model / "Manifest.json").write_bytes(b"{}")

    class InAFolder(Echo):
        def run(self, request: Request, progress: Progress) -> Returned:
            change(request)
            return ANSWER

    target = InAFolder()
    with pytest.raises(IntegrityError, match=r"changed while(.|\n)*Manifest\.json"):
        Job(bundle, entry, target).run()
    assert kept.load(kept.key(bundle, entry, target)) is None


def test_a_model_swapped_since_the_bundle_was_opened_is_refused(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    (entry,) = bundle.manifest.models
    target = Echo()
    bundle.file(entry).write_bytes(bundle.file(entry).read_bytes() + b"x")
    with pytest.raises(IntegrityError, match=r"changed since(.|\n)*model\.fp32\.onnx"):
        Job(bundle, entry, target).run()
    bundle.file(entry).unlink()
    os.mkfifo(bundle.file(entry))
    with pytest.raises(IntegrityError, match="cannot be read any more"):
        Job(bundle, entry, target).run()
    assert target.runs == 0


def test_a_disk_without_room_for_copies_is_told_and_not_the_file_that_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    (entry,) = bundle.manifest.models

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="No space left") as told:
        Job(bundle, entry, Echo()).run()
    assert not isinstance(told.value, IntegrityError)
    assert ".hetero-handed." in str(told.value.filename)


def test_a_forged_cache_turns_no_failure_into_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forged is the whole answer of a model that passes."""
    path = write_bundle(tmp_path / "bundle", formats=("onnx",), model_seed=5)
    bundle, sound = read_bundle(path), read_bundle(write_bundle(tmp_path / "sound", formats=("onnx",)))
    desktop = Desktop()
    try:
        answer = Job(sound, sound.manifest.models[0], desktop).run()
    finally:
        desktop.close()
    name = kept.key(bundle, bundle.manifest.models[0], desktop)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
        kept.save(name, answer)
        assert kept.load(name) is not None
    for _ in range(2):
        assert verify([path], ["desktop"], tmp_path / "out").exit_code == GATE_FAILED


def test_a_damaged_golden_file_is_made_again(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    first, second, *_ = golden_files(bundle)
    whole = first.path.read_bytes()
    first.path.write_bytes(second.path.read_bytes())
    _made.cache_clear()
    again = golden_files(bundle)[0]
    assert again.path.read_bytes() == whole
    assert np.array_equal(again.pixels, first.pixels)


@pytest.mark.parametrize(("content", "incomplete"), [(None, True), (b"no image", False)])
def test_a_file_that_cannot_be_read_is_not_one_that_cannot_be_decoded(
    content: bytes | None, incomplete: bool, tmp_path: Path
) -> None:
    """The first is this machine's fault and may be over the next time."""
    if content is not None:
        (tmp_path / "x.png").write_bytes(content)
    job = {"contract": {}, "originals": [{"file": str(tmp_path / "x.png"), "image": None}]}
    _, errors, found = own_pixels(OnnxRuntime("", {}), job, np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 4)))
    assert errors[0] != ""
    assert found == incomplete
