from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from export.bundle.reading import read_bundle
from export.bundle.resigning import sign_again
from export.bundle.signing import check_signature, generate_key, public_key, sign
from hetero.errors import InputError, IntegrityError
from tests.crashes import kills
from tests.export.bundles import write_bundle


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    return tmp_path / "key.pem", tmp_path / "key.pub.pem"


@pytest.fixture
def signed(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    bundle = write_bundle(tmp_path / "bundle")
    sign(bundle, keys[0])
    return bundle


def test_signed_and_trusted(signed: Path, keys: tuple[Path, Path]) -> None:
    assert read_bundle(signed).manifest.name == "student"
    trust, signer = check_signature(signed)
    assert trust == "signed"
    assert check_signature(signed, keys[1]) == ("trusted", signer)
    assert keys[0].stat().st_mode & 0o077 == 0


def test_signing_twice_gives_the_same_bytes(signed: Path, keys: tuple[Path, Path]) -> None:
    first = (signed / "manifest.sig").read_bytes()
    sign(signed, keys[0])
    assert (signed / "manifest.sig").read_bytes() == first


def test_a_bundle_that_exists_is_signed_in_one_step(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    def before() -> None:
        (path / "manifest.sig").unlink(missing_ok=True)

    path = write_bundle(tmp_path / "bundles" / "bundle")
    seen: list[str] = []
    for _ in kills(tmp_path, lambda: sign_again(path, keys[0]), before=before):
        assert read_bundle(path).manifest.name == "student"
        seen.append(check_signature(path)[0])
    assert set(seen) == {"unsigned", "signed"}
    assert check_signature(path, keys[1])[1] == public_key(keys[1])
    generate_key(tmp_path / "new.pem", tmp_path / "new.pub.pem")
    assert sign_again(path, tmp_path / "new.pem") == check_signature(path, tmp_path / "new.pub.pem")[1]
    assert [one.name for one in path.parent.iterdir()] == ["bundle"]


def test_a_damaged_bundle_is_not_signed(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    path = write_bundle(tmp_path / "bundle")
    (path / "README.md").write_text("# Another\n")
    with pytest.raises(IntegrityError, match="is not what its manifest says"):
        sign_again(path, keys[0])
    assert not (path / "manifest.sig").exists()


def test_unsigned(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    bundle = write_bundle(tmp_path / "plain")
    assert check_signature(bundle) == ("unsigned", "")
    with pytest.raises(IntegrityError, match="is not signed"):
        check_signature(bundle, keys[1])


def test_another_key(signed: Path, tmp_path: Path) -> None:
    generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    with pytest.raises(IntegrityError, match="not by the trusted key"):
        check_signature(signed, tmp_path / "other.pub.pem")


def test_changed_manifest(signed: Path, keys: tuple[Path, Path]) -> None:
    manifest = json.loads((signed / "manifest.json").read_text())
    (signed / "manifest.json").write_text(json.dumps(manifest | {"macs": 11}))
    assert read_bundle(signed).manifest.macs == 11
    with pytest.raises(IntegrityError, match="was changed after signing"):
        check_signature(signed, keys[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signature": "00" * 64}, "was changed after signing"),
        ({"public_key": "zz"}, "key of 32 bytes"),
        ({"algorithm": "rot13"}, "algorithm"),
        ({"more": 1}, "unknown key"),
    ],
)
def test_damaged_signature(signed: Path, change: dict[str, object], message: str) -> None:
    entry = json.loads((signed / "manifest.sig").read_text())
    (signed / "manifest.sig").write_text(json.dumps(entry | change))
    with pytest.raises(IntegrityError, match=message):
        check_signature(signed)


def test_huge_signature(signed: Path) -> None:
    (signed / "manifest.sig").write_bytes(b" " * 5000)
    with pytest.raises(IntegrityError, match="at most 4096 bytes"):
        read_bundle(signed)


def test_keys_are_never_overwritten(keys: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="never overwritten"):
        generate_key(*keys)


def test_key_that_is_none(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (tmp_path / "no.pem").write_text("nonsense")
    with pytest.raises(InputError, match="cannot be read as a private key"):
        sign(bundle, tmp_path / "no.pem")
    with pytest.raises(InputError, match="cannot be read as a public key"):
        check_signature(bundle, tmp_path / "no.pem")


def test_key_of_a_kind_that_nobody_knows(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    kind = bytes.fromhex("300506032a0304")  # The object identifier 1.2.3.4.
    for label, content in (
        ("PRIVATE KEY", bytes.fromhex("300d020100") + kind + bytes.fromhex("040100")),
        ("PUBLIC KEY", bytes.fromhex("300b") + kind + bytes.fromhex("03020001")),
    ):
        text = f"-----BEGIN {label}-----\n{b64encode(content).decode()}\n-----END {label}-----\n"
        (tmp_path / f"{label}.pem").write_text(text)
    with pytest.raises(InputError, match=r"cannot be read as a private key.*1\.2\.3\.4"):
        sign(bundle, tmp_path / "PRIVATE KEY.pem")
    with pytest.raises(InputError, match=r"cannot be read as a public key.*1\.2\.3\.4"):
        check_signature(bundle, tmp_path / "PUBLIC KEY.pem")


def test_nobody_else_may_ever_read_a_private_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: dict[str, int] = {}
    replace = Path.replace

    def replaced(path: Path, target: Path) -> Path:
        modes[target.name] = path.stat().st_mode & 0o777
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    assert modes == {"key.pem": 0o600, "key.pub.pem": 0o644}
