from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hetero.data.sources.csv import read_csv
from hetero.data.sources.folder import read_folder
from hetero.data.sources.walk import image_files, images_below, printable
from hetero.errors import InputError
from tests.hetero.data.pictures import write_classes, write_picture

HIDDEN = (".ipynb_checkpoints", ".thumbnails", ".Trash-1000", ".git")
SYSTEM = ("@eaDir", "@EADIR", "__MACOSX", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found", "#recycle")


def classes(root: Path) -> Path:
    return write_classes(root, {"a": 2, "b": 2})


def names(folder: Path) -> list[str]:
    return ["/".join(parts) for parts in images_below(folder).images]


PLAIN = ["a/000.png", "a/001.png", "b/000.png", "b/001.png"]


@pytest.mark.parametrize("folder", [*HIDDEN, *SYSTEM])
def test_hidden_and_system_folders_are_passed_over_at_any_depth(tmp_path: Path, folder: str) -> None:
    root = classes(tmp_path / "photos")
    for place in (root, root / "a"):
        write_picture(place / folder / "deeper" / "copy.png", 7)
    assert names(root) == PLAIN
    listing = read_folder(root)
    assert len(listing.entries) == 4
    reason = "hidden" if folder.startswith(".") else "of an operating system"
    (note,) = listing.notes
    assert note.startswith(f"passed over: {reason} (2: ") and f"{folder}, ...)" in note


def test_hidden_and_system_files_are_passed_over(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos")
    shutil.copy(root / "a" / "000.png", root / "a" / "._000.png")
    for name in ("Thumbs.db", "desktop.ini", "notes.txt", "more.TXT", "README"):
        (root / "a" / name).write_text("")
    found = images_below(root)
    assert ["/".join(parts) for parts in found.images] == PLAIN
    assert found.notes() == (
        "passed over: hidden (1: a/._000.png), not an image by its extension (2 .txt, 1 without), "
        "of an operating system (2: a/Thumbs.db, ...)",
    )


def test_the_root_may_lie_in_a_hidden_folder(tmp_path: Path) -> None:
    assert names(classes(tmp_path / ".cache" / "photos")) == PLAIN


def test_linked_folders_are_followed_and_told(tmp_path: Path) -> None:
    root, more = classes(tmp_path / "photos"), classes(tmp_path / "more")
    for label in "ab":
        (root / label / "more").symlink_to(more / label)
    (root / "c").symlink_to(more / "a")
    (root / "a" / "file.png").symlink_to(more / "a" / "000.png")
    found = images_below(root)
    assert len(found.images) == 4 + 4 + 2 + 1
    assert found.links == {"a/more": str(more / "a"), "b/more": str(more / "b"), "c": str(more / "a")}
    assert found.notes() == (f"3 linked folders lie outside of the folder (a/more -> {more / 'a'}, ...)",)
    assert {entry.label for entry in read_folder(root).entries} == {"a", "b", "c"}


def test_links_that_never_end_and_links_to_listed_folders_are_passed_over(tmp_path: Path) -> None:
    root, more = classes(tmp_path / "photos"), classes(tmp_path / "more")
    (root / "again").symlink_to(".")
    (root / "a" / "up").symlink_to(root)
    (root / "latest").symlink_to("b")
    (root / "itself").symlink_to("itself")
    (root / "gone.png").symlink_to("nowhere.png")
    (more / "a" / "back").symlink_to(more)
    (root / "a" / "more").symlink_to(more)
    (root / ".store").mkdir()
    classes(root / ".store" / "c")
    (root / "c").symlink_to(".store/c")
    assert set(names(root)) == {*PLAIN, *(f"a/more/{name}" for name in PLAIN), *(f"c/{name}" for name in PLAIN)}
    described = images_below(root).passed_over.described()
    assert "link to a folder above it (3: a/more/a/back, ...)" in described
    assert "link to a folder that is listed itself (1: latest)" in described
    assert "broken link (2: gone.png, ...)" in described


def test_special_files_are_no_images(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos")
    os.mkfifo(root / "a" / "pipe.png")
    assert names(root) == PLAIN
    assert "neither file nor folder (1: a/pipe.png)" in images_below(root).passed_over.described()


def test_names_that_are_not_utf_8_are_listed_with_escapes(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos")
    (root / "a" / "000.png").rename(root / "a" / os.fsdecode(b"caf\xe9.png"))
    (root / "b").rename(root / os.fsdecode(b"b\xff"))
    entries = read_folder(root).entries
    assert [entry.name for entry in entries] == ["a/001.png", r"a/caf\xe9.png", r"b\xff/000.png", r"b\xff/001.png"]
    assert {entry.label for entry in entries} == {"a", r"b\xff"} and all(entry.path.is_file() for entry in entries)
    (note,) = read_folder(root).notes
    assert note == r"names that are not UTF-8 are written with escapes: 3 images (a/caf\xe9.png, ...)"
    assert printable("ü\n") == "ü\n"


def test_no_images_say_what_was_passed_over(tmp_path: Path) -> None:
    write_picture(tmp_path / "photos" / "@eaDir" / "a.png")
    with pytest.raises(InputError, match=r"found none; passed over: of an operating system \(1: @eaDir\)"):
        image_files(tmp_path / "photos")
    with pytest.raises(InputError, match="expected a folder of images at .*missing, found nothing"):
        image_files(tmp_path / "missing")


def test_tables_name_no_hidden_and_no_system_files(tmp_path: Path) -> None:
    places = ("a/.ipynb_checkpoints/x.png", "a/._x.png", "@eaDir/x.png", "./a/x.png")
    for place in places:
        write_picture(tmp_path / place)
    rows = "\n".join(f"x,{place},train" for place in places)
    (tmp_path / "data.csv").write_text(f"label,path,split\n{rows}\n")
    with pytest.raises(InputError) as caught:
        read_csv(tmp_path / "data.csv")
    assert [problem.split(" is ")[0] for problem in caught.value.problems] == [
        f"line {line}: {place}" for line, place in enumerate(places[:3], start=2)
    ]


def test_tables_in_a_hidden_folder_work(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / ".data" / "x.png")
    (tmp_path / ".data" / "data.csv").write_text(f"label,path,split\nx,{picture},train\ny,../.data/x.png,train\n")
    assert len(read_csv(tmp_path / ".data" / "data.csv").entries) == 2
