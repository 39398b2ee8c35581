"""A verdict as a signed attestation, read by other means than those that wrote it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device_tests.attestation.statement import VERDICT, Attestation, attest
from device_tests.checks.finding import Status
from device_tests.evidence.origin import verified_files
from device_tests.verdict.policy import parsed, policy_called
from device_tests.verdict.verdict import Row, Verdict
from export.bundle.envelope import EnvelopeSigner
from export.bundle.reading import read_bundle
from export.bundle.signing import generate_key
from hetero.cli.main import main
from hetero.errors import InputError, IntegrityError
from hetero.files import digest, sha256_file
from tests.crashes import kills
from tests.device_tests.tiny_bundle import list_files, write_bundle


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("keys")
    generate_key(folder / "key.pem", folder / "key.pub.pem")
    return folder / "key.pem", folder / "key.pub.pem"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("tiny") / "bundle", formats=("onnx", "coreml"))


def verdict_of(bundle: Path, status: Status = "pass", excused: str = "") -> Verdict:
    rows = (
        Row("tiny", "desktop", "onnx", "fp32", "loads", "pass"),
        Row("tiny", "desktop", "onnx", "fp32", "parity", status, "", {}, excused),
    )
    bundles = {"tiny": {"space_id": "0" * 64, "files": verified_files(read_bundle(bundle))}}
    return Verdict(rows, {"targets": {"desktop": {"system": "Linux"}}, "bundles": bundles, "evidence": None})


def write(path: Path, verdict: Verdict, keys: tuple[Path, Path]) -> Path:
    attest(path, verdict, policy_called("release"), "release", EnvelopeSigner(keys[0]))
    return path


@pytest.fixture
def written(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> Path:
    return write(tmp_path / "verdict.intoto.jsonl", verdict_of(bundle), keys)


def encoded(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding, from its definition: lengths in ASCII decimal, one space between."""
    kind = payload_type.encode()
    return b"DSSEv1 " + str(len(kind)).encode() + b" " + kind + b" " + str(len(payload)).encode() + b" " + payload


def opened(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    envelope = json.loads(path.read_text())
    (signature,) = envelope["signatures"]
    return envelope, base64.b64decode(envelope["payload"]), base64.b64decode(signature["sig"])


def test_another_implementation_verifies_the_signature(written: Path, keys: tuple[Path, Path]) -> None:
    envelope, payload, signature = opened(written)
    key = EnvelopeSigner(keys[0]).key
    assert envelope["signatures"][0]["keyid"] == key
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    public.verify(signature, encoded(envelope["payloadType"], payload))
    with pytest.raises(InvalidSignature):
        public.verify(signature, payload)
    assert written.read_text().count("\n") == 1


def test_in_totos_own_reader_takes_the_statement(written: Path, bundle: Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    _, payload, _ = opened(written)
    read = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    assert {one.name: dict(one.digest) for one in read.subject} == {
        name: {"sha256": sha256} for name, sha256 in verified_files(read_bundle(bundle)).items()
    }
    predicate: Any = json.loads(payload)["predicate"]
    # in-toto's message has one text where the specification has a list.
    assert predicate.pop("verifiedLevels") == ["HETERO_FILES_REPRODUCE_STUDENT"]
    summary = json_format.ParseDict(predicate, vsa_pb2.VerificationSummary(), ignore_unknown_fields=True)
    assert summary.verification_result == "PASSED" and summary.slsa_version == "1.0"
    assert summary.time_verified.seconds > 0 and summary.verifier.id.startswith("urn:hetero:key:")


def test_it_says_what_was_verified_by_whom_where_and_against_what(
    written: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    statement = json.loads(opened(written)[1])
    names = [one["name"] for one in statement["subject"]]
    assert names[0] == "manifest.json" and "model.fp32.onnx" in names
    assert sum(name.startswith("model.fp32.mlpackage/") for name in names) == 3
    assert "goldens.safetensors" not in names  # the manifest names it
    assert statement["subject"][0]["digest"] == {"sha256": sha256_file(bundle / "manifest.json")}
    predicate = statement["predicate"]
    assert predicate["verifier"]["id"] == f"urn:hetero:key:{EnvelopeSigner(keys[0]).key}"
    assert predicate["resourceUri"] == "urn:hetero:bundle:tiny"
    assert predicate["verifiedLevels"] == ["HETERO_FILES_REPRODUCE_STUDENT"]
    limits = predicate[VERDICT]["policy"]
    assert predicate["policy"] == {"uri": "urn:hetero:policy:release", "digest": {"sha256": digest(limits)}}
    assert limits["student"]["share"] == 0.85
    assert predicate[VERDICT]["targets"] == {"desktop": {"system": "Linux"}}
    assert predicate[VERDICT]["rows"][1] == ["desktop", "onnx", "fp32", "parity", "pass", ""]


@pytest.mark.parametrize(
    ("status", "excused", "result"),
    [("fail", "", "FAILED"), ("not verified", "", "FAILED"), ("fail", "until then", "PASSED"), ("pass", "", "PASSED")],
)
def test_passed_is_said_of_a_pass_alone(
    bundle: Path, keys: tuple[Path, Path], tmp_path: Path, status: Status, excused: str, result: str
) -> None:
    verdict = verdict_of(bundle, status, excused)
    assert (verdict.exit_code == 0) == (result == "PASSED")
    path = write(tmp_path / "a.jsonl", verdict, keys)
    predicate = json.loads(opened(path)[1])["predicate"]
    assert predicate["verificationResult"] == result
    assert (predicate["verifiedLevels"] == ["FAILED"]) == (result == "FAILED")
    assert Attestation.read(path, keys[1]).passed == (result == "PASSED")
    assert predicate[VERDICT]["rows"][1][-1] == excused


def test_what_was_written_is_read(written: Path, bundle: Path, keys: tuple[Path, Path]) -> None:
    held = Attestation.read(written, keys[1])
    assert held.passed and held.key == EnvelopeSigner(keys[0]).key
    held.require_about(read_bundle(bundle))


def _payload(change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], None]:
    def spoil(envelope: dict[str, Any]) -> None:
        envelope["payload"] = base64.b64encode(change(base64.b64decode(envelope["payload"]))).decode()

    return spoil


def _no_signature(envelope: dict[str, Any]) -> None:
    envelope["signatures"] = []


def _another_type(envelope: dict[str, Any]) -> None:
    envelope["payloadType"] = "text/plain"


def _of_the_payload_alone(envelope: dict[str, Any]) -> None:
    envelope["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_payload(lambda payload: payload.replace(b"desktop", b"another")), "did not sign this"),
        (_payload(lambda payload: payload + b" "), "did not sign this"),
        (_no_signature, "did not sign this"),
        (_of_the_payload_alone, "did not sign this"),
        (_another_type, "expected a payload of type application/vnd.in-toto"),
    ],
)
def test_what_was_changed_is_refused(
    written: Path, keys: tuple[Path, Path], spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    envelope = json.loads(written.read_text())
    spoil(envelope)
    written.write_text(json.dumps(envelope))
    with pytest.raises(IntegrityError, match=message):
        Attestation.read(written, keys[1])


def test_a_failed_verdict_cannot_be_turned_into_a_pass(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", verdict_of(bundle, "fail"), keys)
    envelope = json.loads(path.read_text())
    _payload(lambda payload: payload.replace(b'"FAILED"', b'"PASSED"'))(envelope)
    path.write_text(json.dumps(envelope))
    with pytest.raises(IntegrityError, match="did not sign this"):
        Attestation.read(path, keys[1])


def test_another_key_is_refused(written: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    with pytest.raises(IntegrityError, match="another key signed it"):
        Attestation.read(written, tmp_path / "other.pub.pem")
    envelope = json.loads(written.read_text())
    envelope["signatures"][0]["keyid"] = EnvelopeSigner(tmp_path / "other.pem").key
    written.write_text(json.dumps(envelope))
    for key in (keys[1], tmp_path / "other.pub.pem"):
        with pytest.raises(IntegrityError, match="did not sign this"):
            Attestation.read(written, key)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload": 1, "payloadType": "application/vnd.in-toto+json", "signatures": []}',
        b'{"payload": "!", "payloadType": "application/vnd.in-toto+json", "signatures": [1]}',
        b'{"payload": "e30=", "payloadType": 7, "signatures": []}',
        b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": {"a": 1}}',
        b"[" * 100_000,
        b" " * ((4 << 20) + 1),
    ],
)
def test_what_is_no_envelope_is_refused(content: bytes, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(IntegrityError):
        Attestation.read(tmp_path / "a.jsonl", keys[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda one: one["predicate"].update(verificationResult="MAYBE"),
        lambda one: one["predicate"].update(verifiedLevels=["FAILED"]),
        lambda one: one.pop("subject"),
        lambda one: one["subject"].append(one["subject"][0]),
        lambda one: one["subject"][0].update(digest={"sha256": "0"}),
        lambda one: one.update(predicate=[]),
    ],
)
def test_a_signed_statement_that_is_no_summary_is_refused(
    written: Path, keys: tuple[Path, Path], change: Callable[[Any], object]
) -> None:
    statement = json.loads(opened(written)[1])
    change(statement)
    written.write_bytes(EnvelopeSigner(keys[0]).sign(json.dumps(statement).encode(), "application/vnd.in-toto+json"))
    with pytest.raises(IntegrityError, match="is not a verification summary"):
        Attestation.read(written, keys[1])


def test_another_bundle_is_refused(written: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", formats=("onnx",), model_seed=4)
    with pytest.raises(
        IntegrityError, match=r"is not about the bundle at .*\n.*manifest.json: not what was verified"
    ) as told:
        Attestation.read(written, keys[1]).require_about(read_bundle(other))
    assert "model.fp32.onnx: not what was verified" in str(told.value)
    assert "mlpackage/Manifest.json: verified, but not in the bundle" in str(told.value)


def test_a_manifest_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    held = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    list_files(tmp_path / "bundle", "another")
    with pytest.raises(IntegrityError, match=r"manifest.json was changed since the bundle was opened"):
        verified_files(held)


def test_killed_at_any_point_it_is_whole_or_not_there(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path, verdict = tmp_path / "out" / "a.jsonl", verdict_of(bundle)
    path.parent.mkdir()
    for number in kills(path.parent, lambda: write(path, verdict, keys), before=lambda: path.unlink(missing_ok=True)):
        assert number and not path.exists()
    assert Attestation.read(path, keys[1]).passed
    assert [one.name for one in path.parent.iterdir()] == ["a.jsonl"]


def run(*arguments: object) -> object:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


def test_the_commands(
    bundle: Path, keys: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify = ["verify", bundle, "--out", tmp_path / "out"]
    asked = ["--attest", tmp_path / "a.jsonl", "--attest-key", keys[0]]
    check = ["attestation", "check", tmp_path / "a.jsonl", bundle, "--key", keys[1]]
    assert (run(*verify, *asked), run(*check)) == (0, 0)
    shown = capsys.readouterr().out
    assert "PASSED, verified " in shown and "on desktop" in shown and f"these are the files at {bundle}" in shown
    assert f"{sha256_file(bundle / 'manifest.json')}  manifest.json" in shown
    assert (run(*verify, *asked, "--floor", "0.999"), run(*check)) == (1, 1)
    assert "FAILED, verified " in capsys.readouterr().out


def test_errors_write_nothing(
    bundle: Path, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = ["verify", bundle, "--out", tmp_path / "out"]
    path, key = ["--attest", tmp_path / "a.jsonl"], ["--attest-key", keys[0]]
    assert run(*verify, *path) == run(*verify, *key) == 2
    assert run(*verify, *path, *key, "--target", "toaster") == 2
    assert run(*verify, *path, "--attest-key", tmp_path / "none.pem") == 2
    assert run(*verify, *path, "--attest-key", keys[1]) == 2
    assert run("verify", bundle, bundle, *path, *key) == 2
    assert run(*verify, "--attest", bundle / "a.jsonl", *key) == 2
    assert run(*verify, "--attest", tmp_path, *key) == 2

    def crash(*_: object, **__: object) -> Verdict:
        raise RuntimeError("a bug")

    monkeypatch.setattr("device_tests.ladder.verify.verify", crash)
    assert run(*verify, *path, *key) == 70
    assert not (tmp_path / "a.jsonl").exists() and not (bundle / "a.jsonl").exists()


def test_the_library_is_loaded_late_and_missed_in_words(
    keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys, device_tests.ladder.verify, device_tests.attestation.statement\n"
    code += "print('securesystemslib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"the package securesystemslib; install with: pip install 'hetero\[signing\]'"
    ):
        EnvelopeSigner(keys[0])


def test_a_policys_record_holds_every_limit_and_exception() -> None:
    exception = {"rung": "cost", "reason": "an old phone", "expires": date(2099, 12, 31)}
    record = json.loads(json.dumps(parsed({"exceptions": [exception]}, what="policy").to_dict()))
    assert record["gates"]["largest_loss"] == 0.01 and record["evidence"] == {"floor": None}
    (kept,) = record["exceptions"]
    assert (kept["rung"], kept["reason"], kept["expires"]) == ("cost", "an old phone", "2099-12-31")
