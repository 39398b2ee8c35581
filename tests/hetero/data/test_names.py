from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hetero.cli.main import main
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import sources_of, with_copies
from hetero.data.config import DataConfig
from hetero.data.embeddings.file import load_embeddings, save_embeddings
from hetero.data.images import ImageSet
from hetero.data.prepare import prepare
from hetero.data.sources.csv import read_csv
from hetero.data.sources.folder import read_folder
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.hetero.data.pictures import write_classes, write_picture

SMALL = Preprocessing(8, 8)
# What tables and programs often take for nothing.
WORDS = ("None", "nan", "NaN", "null", "NULL", "NA", "N/A", "0", "1.0", "-1", "true", "-")
COMPOSED, APART = "caf\xe9", "cafe\u0301"


def test_words_for_nothing_are_classes_in_tables(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    rows = [f"{word},a.png,{split}" for word in WORDS for split in ("train", "test")]
    (tmp_path / "data.csv").write_text("\n".join(["label,path,split", *rows]))
    assert {entry.label for entry in read_csv(tmp_path / "data.csv").entries} == set(WORDS)
    (tmp_path / "data.csv").write_text("label,path,split\n,a.png,train\n")
    assert [entry.label for entry in read_csv(tmp_path / "data.csv").entries] == [""], "only that is no label"


def test_words_for_nothing_are_classes_in_folders(tmp_path: Path) -> None:
    folders = [word for word in WORDS if "/" not in word]
    write_classes(tmp_path / "photos", dict.fromkeys(folders, 1))
    assert {entry.label for entry in read_folder(tmp_path / "photos").entries} == set(folders)


def test_names_that_are_not_utf_8_go_all_the_way(tmp_path: Path) -> None:
    root = write_classes(tmp_path / os.fsdecode(b"ph\xf6tos"), {"a": 8, "b": 8})
    (root / "a" / "000.png").rename(root / "a" / os.fsdecode(b"caf\xe9.png"))
    (root / "b").rename(root / os.fsdecode(b"b\xff"))
    data = prepare(DataConfig(kind="folder", path=str(root)), SMALL, cache=tmp_path / "cache")
    names = (*data.train.names, *data.validation.names, *data.test.names)
    assert r"a/caf\xe9.png" in names and data.train.classes == ("a", r"b\xff")
    assert data.name == r"ph\xf6tos"
    space = EmbeddingSpace.define(defined_by="ab", name="cloud", version="1", dimension=3)
    save_embeddings(tmp_path / "e.safetensors", np.ones((len(names), 3), np.float32), names, space)
    assert load_embeddings(tmp_path / "e.safetensors").names == names


def test_the_check_prints_names_that_are_not_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_classes(tmp_path / "photos", {"a": 8, "b": 8})
    broken = root / "a" / os.fsdecode(b"caf\xe9.png")
    broken.write_bytes(b"no image")
    for form in ([], ["--json"]):
        with pytest.raises(SystemExit) as caught:
            main(("data", "check", str(root), *form))
        assert caught.value.code == 2
        assert r"caf\xe9.png" in capsys.readouterr().out.replace(r"\\", "\\")


def test_a_recipes_data_must_have_a_path_of_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(("run", "demo", "--data", str(tmp_path / os.fsdecode(b"ph\xf6tos"))))
    assert caught.value.code == 2 and r"ph\udcf6tos' is not UTF-8" in capsys.readouterr().err


def test_classes_that_only_look_the_same_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "photos" / "train", {COMPOSED: 4, "b": 4})
    write_classes(tmp_path / "photos" / "test", {APART: 4, "b": 4}, start=50)
    with pytest.raises(InputError) as caught:
        prepare(DataConfig(kind="folder", path=str(tmp_path / "photos")), SMALL, cache=tmp_path / "cache")
    assert caught.value.problems == (r"'cafe\u0301' and 'caf\xe9'",)
    assert "look the same and are written differently (Unicode NFC and NFD)" in str(caught.value)


def test_a_table_that_writes_a_name_differently_is_told_how(tmp_path: Path) -> None:
    write_picture(tmp_path / f"{APART}.png")
    (tmp_path / "data.csv").write_text(
        f"label,path,split\nx,{COMPOSED}.png,train\ny,gone.png,train\n", encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        read_csv(tmp_path / "data.csv")
    alike, gone = caught.value.problems
    assert r"but 'cafe\u0301.png' there looks like 'caf\xe9.png'" in alike and gone.endswith("gone.png")


def test_objects_cut_out_of_one_image_are_no_copies_of_each_other(tmp_path: Path) -> None:
    write_picture(tmp_path / "shelf.png", size=(20, 10))
    rows = [f"x,shelf.png,train,{left},0,{left + 5},5" for left in (0, 5, 10)]
    (tmp_path / "data.csv").write_text("\n".join(["label,path,split,x_1,y_1,x_2,y_2", *rows]))
    names = tuple(entry.name for entry in read_csv(tmp_path / "data.csv").entries)
    assert names == ("shelf.png", "shelf.png@2", "shelf.png@3")
    assert sources_of(names).tolist() == [0, 1, 2]
    copies = with_copies(image_set(names), 2, AugmentConfig())
    assert len(set(copies.names)) == 9 and sources_of(copies.names).tolist() == [0, 1, 2] * 3


def test_images_named_like_copies_are_refused_before_copies_are_made() -> None:
    with pytest.raises(InputError, match="1 images have the names of changed copies, for instance 'a#1'"):
        with_copies(image_set(("a", "a#1")), 1, AugmentConfig())


def image_set(names: tuple[str, ...]) -> ImageSet:
    zeros = np.zeros(len(names), np.int64)
    return ImageSet(np.zeros((len(names), 4, 4, 3), np.uint8), zeros, ("c",), zeros, ("",), names, "f")
