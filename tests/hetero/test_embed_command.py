from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetero.cli.main import main
from hetero.data.decoding import decoded
from tests.hetero.data.pictures import write_classes


@pytest.fixture(autouse=True)
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("images were decoded for an output that cannot be written")

    monkeypatch.setattr(decoded, "decode_files", refuse)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("out.npy",), "embeddings are written to a .safetensors file, got out.npy"),
        (("photos/a/000.png/out.safetensors",), "nothing can be written to"),
        (("out.safetensors", "--batch-size", "0"), 'Invalid value "0" for --batch-size'),
    ],
)
def test_what_cannot_be_written_is_refused_before_embedding(
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(Path("photos"), {"a": 2, "b": 1})
    with pytest.raises(SystemExit) as caught:
        main(("embed", "no/model", "photos", *arguments))
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_names_that_would_repeat_are_refused_before_embedding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_classes(tmp_path / "photos", {"a": 1})
    picture = tmp_path / "photos" / "a" / "000.png"
    for name in (b"caf\xe9.png", rb"caf\xe9.png"):
        picture.with_name(os.fsdecode(name)).write_bytes(picture.read_bytes())
    with pytest.raises(SystemExit):
        main(("embed", "no/model", str(tmp_path / "photos"), str(tmp_path / "out.safetensors")))
    assert r"names repeat, for instance 'a/caf\\xe9.png'" in capsys.readouterr().err
