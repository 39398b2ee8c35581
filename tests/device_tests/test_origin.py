"""Who signed a bundle: refused where it does not fit, and told wherever a verdict is."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from device_tests.evidence.origin import origin_lines
from device_tests.ladder.verify import verify
from device_tests.report import write_report
from device_tests.verdict.policy import Policy, parsed
from export.bundle.signing import generate_key, sign
from hetero.cli.main import main
from hetero.errors import InputError, IntegrityError
from hetero.files import read_json
from tests.device_tests.tiny_bundle import write_bundle

ITSELF = "so a pass proves only that its files agree with the golden images that came in it"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", formats=("onnx",))


@pytest.fixture
def key(tmp_path: Path) -> str:
    return generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")


def told(bundle: Path, out: Path, policy: Policy | None = None) -> dict[str, str]:
    """What each of a verification's files says of the bundle's origin."""
    verdict = verify([bundle], ["desktop"], out, policy)
    assert verdict.exit_code == 0
    rows = [row.to_dict() for row in verdict.rows]
    write_report(out / "report.html", rows=rows, matrix=None, bundles=[bundle], embeddings=out / "embeddings")
    suite = ElementTree.parse(out / "junit.xml").getroot().find("testsuite/properties/property[@name='signature']")
    assert suite is not None
    return {
        "table": verdict.table(),
        "summary.md": (out / "summary.md").read_text(),
        "report.html": (out / "report.html").read_text(),
        "junit.xml": suite.attrib["value"],
        "trust": read_json(out / "summary.json")["bundles"]["tiny"]["signature"]["trust"],
    }


@pytest.mark.parametrize("case", ["unsigned", "signed", "trusted"])
def test_every_file_of_a_verdict_says_who_signed(bundle: Path, tmp_path: Path, key: str, case: str) -> None:
    line = {
        "unsigned": f"tiny is not signed, {ITSELF}.",
        "signed": f"tiny is signed by the key {key}, but nobody said whose that is, {ITSELF}: give --key.",
        "trusted": f"tiny is signed by the trusted key {key}.",
    }[case]
    if case != "unsigned":
        sign(bundle, tmp_path / "key.pem")
    found = told(bundle, tmp_path / "out", Policy(trusted_keys=(key,)) if case == "trusted" else None)
    assert found.pop("trust") == case
    assert all(line in text for text in found.values())


def test_a_manifest_that_was_changed_after_signing_is_refused(bundle: Path, tmp_path: Path, key: str) -> None:
    sign(bundle, tmp_path / "key.pem")
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"licence": "stolen"}))
    with pytest.raises(IntegrityError, match="was changed after signing"):
        verify([bundle], ["desktop"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", ["unsigned", "another key"])
def test_a_bundle_that_no_trusted_key_signed_is_refused(bundle: Path, tmp_path: Path, key: str, case: str) -> None:
    if case == "another key":
        generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
        sign(bundle, tmp_path / "other.pem")
    message = {"unsigned": f"is not signed.*{key}", "another key": f"not by the trusted key {key}"}[case]
    with pytest.raises(IntegrityError, match=message):
        verify([bundle], ["desktop"], tmp_path / "out", Policy(trusted_keys=(key,)))


def test_the_command_takes_a_key_and_signs_what_is_there(
    bundle: Path, tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", str(bundle), "--key", str(tmp_path / "key.pub.pem"), "--out", str(tmp_path / "out")]
    ended: list[object] = []
    for arguments in (command, ["bundle", "sign", str(bundle), str(tmp_path / "key.pem")], command):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        ended.append(stopped.value.code)
    assert ended == [2, 0, 0]
    shown = capsys.readouterr()
    assert "is not signed" in shown.err
    assert f"{bundle}: signed by {key}\n" in shown.out and f"tiny is signed by the trusted key {key}." in shown.out


def test_a_policy_names_keys_as_they_are_printed(key: str) -> None:
    assert parsed({"trusted_keys": [key]}, what="policy").trusted_keys == (key,)
    with pytest.raises(InputError, match=r"trusted_keys: expected a public key as .*64 hexadecimal digits, got 'x'"):
        parsed({"trusted_keys": ["x"]}, what="policy")


def test_a_summary_of_an_earlier_version_says_nothing() -> None:
    assert origin_lines({"tiny": {"space_id": "0"}}) == {}
