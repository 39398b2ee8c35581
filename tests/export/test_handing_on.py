"""A bundle that is handed on without images: what is there is verified, what is not is never passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.bundle.handing_on import hand_on
from export.bundle.reading import read_bundle
from export.bundle.signing import check_signature, generate_key, sign
from export.bundle_commands import inspect_command, verify_command
from hetero.errors import InputError, IntegrityError
from tests.export.bundles import relist, write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = write_bundle(tmp_path / "bundle")
    for name in ("originals/000001.png", "selftest/0.png"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    relist(path)
    return path


def test_only_what_was_named_is_left_out_and_the_signature_holds(bundle: Path, tmp_path: Path) -> None:
    generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    sign(bundle, tmp_path / "key.pem")
    left_out = hand_on(bundle, tmp_path / "copy", ["goldens", "originals"])
    assert left_out == ("goldens.safetensors", "originals/000001.png")
    assert check_signature(tmp_path / "copy", tmp_path / "key.pub.pem")[0] == "trusted"
    assert (tmp_path / "copy" / "selftest" / "0.png").is_file()
    assert (tmp_path / "copy" / "model.fp32.onnx").read_bytes() == b"onnx"


def test_digests_alone_are_verified_and_said_to_be(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_on(bundle, tmp_path / "copy", ["goldens"])
    verify_command(tmp_path / "copy")
    assert "8 files are what the manifest says; 1 with images were left out: digests alone" in capsys.readouterr().out
    inspect_command(tmp_path / "copy")
    (tmp_path / "copy" / "model.fp32.onnx").write_bytes(b"onyx")
    with pytest.raises(IntegrityError, match=r"model.fp32.onnx: expected sha256"):
        verify_command(tmp_path / "copy")


def test_whatever_needs_the_images_refuses_the_copy(bundle: Path, tmp_path: Path) -> None:
    hand_on(bundle, tmp_path / "copy", ["goldens"])
    with pytest.raises(IntegrityError, match=r"goldens.safetensors: listed, but missing"):
        read_bundle(tmp_path / "copy")
    with pytest.raises(InputError, match="handed on without its golden images"):
        _ = read_bundle(tmp_path / "copy", whole=False).goldens


def test_no_other_file_may_be_missing(bundle: Path, tmp_path: Path) -> None:
    hand_on(bundle, tmp_path / "copy", ["goldens"])
    (tmp_path / "copy" / "README.md").unlink()
    with pytest.raises(IntegrityError, match=r"README.md: listed, but missing"):
        read_bundle(tmp_path / "copy", whole=False)


def test_something_else_is_not_replaced(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("keep")
    with pytest.raises(InputError, match="is not a bundle"):
        hand_on(bundle, tmp_path / "mine", ["goldens"])
    with pytest.raises(InputError, match="name what to leave out"):
        hand_on(bundle, tmp_path / "copy", [])
    with pytest.raises(InputError, match="lies in the bundle"):
        hand_on(bundle, bundle / "copy", ["goldens"])
