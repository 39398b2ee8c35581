"""Photos of items: from one folder, and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetero.errors import InputError
from hetero.serving.photos import PhotoFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    photos = tmp_path / "photos"
    (photos / "red").mkdir(parents=True)
    (photos / "red" / "0.PNG").write_bytes(b"png")
    (photos / "notes.txt").write_bytes(b"text")
    (photos / "page.html").write_bytes(b"<script>")
    (photos / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (photos / "up").symlink_to(tmp_path)
    (photos / "in.png").symlink_to(photos / "red" / "0.PNG")
    (photos / "folder.jpg").mkdir()
    return photos


def test_an_items_photo_has_its_path(folder: Path) -> None:
    photos = PhotoFolder(folder)
    assert photos.find("red/0.PNG") == (folder / "red" / "0.PNG", "image/png")
    assert photos.find("in.png") == (folder / "red" / "0.PNG", "image/png")


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../secret.jpg", "red/../../secret.jpg", "{}/../secret.jpg", "/etc/passwd", "//etc/x.jpg"),
        *("out.jpg", "up/secret.jpg", "notes.txt", "page.html", "folder.jpg", "red", "red/1.png", "red/0.PNG\0.jpg"),
        f"{'x' * 5000}.jpg",
    ],
)
def test_nothing_else_is_given(folder: Path, name: str) -> None:
    assert PhotoFolder(folder).find(name.replace("{}", str(folder))) is None


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder of photos"):
        PhotoFolder(tmp_path / "none")
