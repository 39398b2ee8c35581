"""Whole verifications of a tiny real bundle on this desktop."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.answers.embeddings import embeddings_file, load_embeddings
from device_tests.checks.gates import Gates
from device_tests.ladder.opening import load_gallery_space
from device_tests.ladder.verify import verify
from device_tests.targets.desktop import Desktop
from device_tests.verdict.policy import policy_called
from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.files import read_json
from hetero.space import EmbeddingSpace
from tests.device_tests.tiny_bundle import SPACE, goldens, list_files, write_bundle
from tests.device_tests.tiny_models import weights, write_coreml

ROOT = Path(__file__).parents[2]
OTHER = EmbeddingSpace.define(defined_by="1" * 64, name="other", version="2", dimension=SPACE.dimension)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


def statuses(out: Path, **wanted: str) -> set[str]:
    rows = read_json(out / "verdict.json")
    return {row["status"] for row in rows if all(row[key] == value for key, value in wanted.items())}


def test_a_sound_bundle_passes(bundle: Path, tmp_path: Path) -> None:
    verdict = verify([bundle], ["desktop"], tmp_path)
    assert verdict.exit_code == 0
    assert statuses(tmp_path, format="onnx") == {"pass"}
    assert statuses(tmp_path, format="litert") == {"pass"}
    assert statuses(tmp_path, format="coreml") == {"pass"}
    rows = read_json(tmp_path / "verdict.json")
    assert [row["rung"] for row in rows] == ["loads", "preprocessing", "parity", "retrieval", "cost"] * 3
    retrieval = next(row["figures"] for row in rows if row["rung"] == "retrieval")
    assert retrieval["cmc@1_identical"] is True
    assert retrieval["overlap@10"] == 1.0
    cost = next(row["figures"] for row in rows if row["rung"] == "cost")
    assert cost["latency_median_ms"] > 0
    assert cost["peak_memory_bytes"] > 10e6
    assert cost["file_bytes"] == (bundle / "model.fp32.onnx").stat().st_size


def test_the_runtimes_embeddings_are_kept(bundle: Path, tmp_path: Path) -> None:
    verify([bundle], ["desktop"], tmp_path)
    for format in ("onnx", "litert", "coreml"):
        held = load_embeddings(embeddings_file(tmp_path, "tiny", "desktop", format, "fp32"))
        assert held is not None
        np.testing.assert_allclose(held.golden, goldens().golden_embeddings, atol=2e-6)
        np.testing.assert_allclose(held.query, goldens().retrieval_student[held.query_rows], atol=2e-6)


def test_a_model_that_is_not_the_goldens_fails(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"), model_seed=7)
    verdict = verify([bundle], ["desktop"], tmp_path / "out")
    assert verdict.exit_code == 1
    assert statuses(tmp_path / "out", rung="loads") == {"pass"}
    assert statuses(tmp_path / "out", rung="parity") == {"fail"}
    assert statuses(tmp_path / "out", rung="retrieval") == {"fail"}


def test_a_file_that_no_runtime_reads_fails_to_load(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    (bundle / "model.fp32.tflite").write_bytes(b"not a model")
    list_files(bundle)
    verdict = verify([bundle], ["desktop"], tmp_path / "out")
    assert verdict.exit_code == 1
    assert statuses(tmp_path / "out", format="litert", rung="loads") == {"fail"}
    assert statuses(tmp_path / "out", format="litert", rung="retrieval") == {"not verified"}
    assert statuses(tmp_path / "out", format="onnx") == {"pass"}
    reason = next(row.reason for row in verdict.rows if row.status == "fail")
    assert "exit status" in reason


def test_core_ml_says_whose_numbers_it_compared_and_whose_time_it_took(bundle: Path, tmp_path: Path) -> None:
    verify([bundle], ["desktop"], tmp_path, Gates(latency_ms=1e6))
    figures = {row["rung"]: row for row in read_json(tmp_path / "verdict.json") if row["format"] == "coreml"}
    assert "reference executor" in figures["loads"]["figures"]["certifies"]
    assert "not Apple's kernels" in figures["loads"]["figures"]["certifies"]
    assert figures["cost"]["figures"]["latency_is"] == "the reference executor's"
    assert figures["cost"]["status"] == "not verified"
    assert "certifies" not in next(row["figures"] for row in read_json(tmp_path / "verdict.json"))


def test_a_package_that_the_executor_does_not_know_is_exit_3_and_no_failure(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    write_coreml(bundle / "model.fp32.mlpackage", weights(), norm="apple_norm")
    list_files(bundle)
    verdict = verify([bundle], ["desktop"], tmp_path / "out", Gates(require=("coreml",)))
    assert verdict.exit_code == 3
    assert statuses(tmp_path / "out", format="coreml") == {"not verified"}
    assert {row.reason for row in verdict.rows if row.format == "coreml"} == {"not verified: apple_norm at length"}


def test_what_a_target_has_nothing_to_run_with_is_not_applicable(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Desktop, "runtimes", {"onnx": "onnxruntime", "litert": "litert"})
    verdict = verify([bundle], ["desktop"], tmp_path)
    assert verdict.exit_code == 0
    assert statuses(tmp_path, format="coreml") == {"n/a"}
    assert {row.reason for row in verdict.rows if row.format == "coreml"} == {"nothing on desktop executes Core ML"}
    assert "(10 pass, 0 fail, 0 not verified, 5 n/a)" in verdict.headline
    asked = verify([bundle], ["desktop"], tmp_path, Gates(require=("coreml",)))
    assert asked.exit_code == 3
    assert statuses(tmp_path, format="coreml") == {"not verified"}


def test_a_useless_student_passes_no_policy(tmp_path: Path) -> None:
    """Every file reproduces it to the last bit, and it finds nothing in the cloud's gallery."""
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",), useless=True)
    unasked = verify([bundle], ["desktop"], tmp_path / "out")
    assert [one.answer for one in unasked.headlines] == ["pass", "not judged"]
    assert unasked.exit_code == 0
    assert "cmc@1 0.021 in the cloud's gallery, 5.9 % [" in unasked.headline
    verdict = verify([bundle], ["desktop"], tmp_path / "out", policy_called("release"))
    assert [one.answer for one in verdict.headlines] == ["pass", "fail"]
    assert verdict.exit_code == 1
    assert "fail: the student of tiny: cmc@1 in the cloud's gallery is 5.9 % of the cloud's own" in verdict.table()
    assert read_json(tmp_path / "out" / "summary.json")["gates_of_student"]["share"] == 0.85


def test_too_few_queries_for_the_policy_are_exit_3(bundle: Path, tmp_path: Path) -> None:
    verdict = verify([bundle], ["desktop"], tmp_path, policy_called("release"))
    assert [one.answer for one in verdict.headlines] == ["pass", "not judged"]
    assert verdict.exit_code == 3
    assert verdict.students[0].reason.endswith(" queries")


def test_a_damaged_package_fails_to_load(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    weight_file = bundle / "model.fp32.mlpackage" / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    weight_file.write_bytes(weight_file.read_bytes()[:-100])
    list_files(bundle)
    verdict = verify([bundle], ["desktop"], tmp_path / "out")
    assert verdict.exit_code == 1
    assert statuses(tmp_path / "out", format="coreml", rung="loads") == {"fail"}
    assert "it was cut off" in verdict.table()


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"type": "uint8"}, {"scale": 0.5}], ids=["name", "type", "scale"]
)
def test_tensors_that_the_files_do_not_have_fail_to_load(bundle: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    manifest = read_json(copy / "manifest.json")
    for model in manifest["models"]:
        model["output"] |= change
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert verify([copy], ["desktop"], tmp_path).exit_code == 1
    found = {row["format"]: row["status"] for row in read_json(tmp_path / "verdict.json") if row["rung"] == "loads"}
    # Our own executor does not tell types.
    assert found == {"onnx": "fail", "litert": "fail", "coreml": "pass" if "type" in change else "fail"}


def test_a_required_format_that_is_not_in_the_bundle_is_exit_3(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    verdict = verify([bundle], ["desktop"], tmp_path / "out", Gates(require=("litert",)))
    assert verdict.exit_code == 3
    assert "holds no litert" in verdict.table()


def test_a_target_that_cannot_be_had_is_not_verified(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Desktop) -> None:
        raise InputError("no such machine here")

    monkeypatch.setattr(Desktop, "set_up", refuse)
    verdict = verify([bundle], ["desktop"], tmp_path)
    assert verdict.exit_code == 3
    assert {row.status for row in verdict.rows} == {"not verified"}
    assert {row.reason for row in verdict.rows} == {"no such machine here"}


def test_one_flipped_byte_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    content = bytearray((bundle / "model.fp32.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "model.fp32.onnx").write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match=r"model.fp32.onnx: expected sha256"):
        verify([bundle], ["desktop"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_gallery_of_another_space_is_refused(bundle: Path, tmp_path: Path) -> None:
    OTHER.save(tmp_path / "gallery" / "space.json")
    for path in (tmp_path / "gallery", tmp_path / "gallery" / "space.json"):
        with pytest.raises(SpaceMismatchError) as caught:
            verify([bundle], ["desktop"], tmp_path / "out", gallery=load_gallery_space(path))
        assert SPACE.space_id in str(caught.value)
        assert OTHER.space_id in str(caught.value)
    assert verify([bundle], ["desktop"], tmp_path / "out", gallery=SPACE).exit_code == 0


@pytest.mark.parametrize("targets", [[], ["toaster"], ["desktop:x"], ["phone-arm64:"]])
def test_unknown_targets_are_refused(bundle: Path, tmp_path: Path, targets: list[str]) -> None:
    with pytest.raises(InputError):
        verify([bundle], targets, tmp_path)


def test_two_bundles_of_one_name_are_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two of tiny"):
        verify([bundle, bundle], ["desktop"], tmp_path)


def test_no_torch_on_the_path_that_runs_a_bundle(bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import device_tests.ladder.verify\n"
        "from device_tests.commands import verify_command\n"
        f"status = verify_command([Path({str(bundle)!r})], out=Path({str(tmp_path)!r}))\n"
        "import json; print(json.dumps([status, sorted({'torch', 'jax', 'litert_torch'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


def test_a_path_that_no_runtime_finds_is_bad_input_and_no_file_that_fails(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "caf\udce9", formats=("onnx",))
    with pytest.raises(InputError, match="expected bundles at paths of UTF-8"):
        verify([bundle], ["desktop"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
