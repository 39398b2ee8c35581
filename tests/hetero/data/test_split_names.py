from __future__ import annotations

from pathlib import Path

import pytest

from hetero.data.config import DataConfig
from hetero.data.sources.folder import read_folder
from hetero.data.sources.split_names import role_named, split_named, splits_among
from hetero.data.splits import assign_splits
from hetero.errors import InputError
from tests.hetero.data.pictures import write_classes

CLASSES = {"cat": 4, "dog": 4}


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ("train", "Train", "TRAIN", "Training", "train_images", "train-set", "imagesTr", "images_train")),
        ("train", ("TrainingSet", "train2017", "trainset", "Training Images", "train_data")),
        ("validation", ("val", "Val", "VALID", "validation", "Validation_Set", "valImages", "dev", "val2017")),
        ("test", ("Test", "TESTING", "test_images", "imagesTs".replace("Ts", "Te"), "Eval", "testset", "test_2")),
        ("", ("cat", "tr", "te", "images", "dataset", "bullet train", "test tube", "latest", "None", "2017", "")),
    ],
)
def test_usual_spellings_of_splits(split: str, names: tuple[str, ...]) -> None:
    assert {name: split_named(name) for name in names} == dict.fromkeys(names, split)


def test_names_that_differ_in_the_split_alone_are_splits_beside_each_other() -> None:
    assert splits_among(["birds-train", "birds_Test", "birds val"]) == {
        "birds-train": "train",
        "birds_Test": "test",
        "birds val": "validation",
    }
    assert splits_among(["birds-train", "cats-test"]) == {}
    assert splits_among(["taste test", "bullet train", "train"]) == {"train": "train"}


def test_usual_spellings_of_queries_and_gallery() -> None:
    assert [role_named(name) for name in ("Query", "queries", "probe", "query_images")] == ["query"] * 4
    assert [role_named(name) for name in ("Gallery", "gallery_images", "cat")] == ["gallery", "gallery", ""]


def split_root(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write_classes(root / name, CLASSES, start=100 * number)
    return root


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Val", "Test"),
        ("TRAIN", "VALID", "TEST"),
        ("Training", "validation", "Testing"),
        ("train_images", "val_images", "test_images"),
        ("animals-train", "animals-val", "animals-test"),
    ],
)
def test_splits_are_known_in_any_usual_spelling(tmp_path: Path, names: tuple[str, str, str]) -> None:
    listing = read_folder(split_root(tmp_path / "photos", *names))
    assert {entry.label for entry in listing.entries} == {"cat", "dog"}
    assert {entry.split for entry in listing.entries} == {"train", "validation", "test"}
    assert {entry.name.split("/")[0]: entry.split for entry in listing.entries} == dict(
        zip(names, ("train", "validation", "test"), strict=True)
    )
    assert not any(entry.view for entry in listing.entries)


def test_queries_and_gallery_in_any_case(tmp_path: Path) -> None:
    root = split_root(tmp_path / "shop", "Train", "Test/Query", "Test/Gallery")
    listing = read_folder(root)
    assert [(entry.is_query, entry.is_gallery) for entry in listing.of("test")] == [(False, True)] * 8 + [
        (True, False)
    ] * 8
    assert {entry.label for entry in listing.entries} == {"cat", "dog"}
    assert listing.layout == "{Test/{Gallery,Query}, Train}/CLASS/image"


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train", "test", "extra"), r"extra holds folders \(cat, dog\), which may be classes; call it unlabelled"),
        (("train", "test", "others"), r"splits \(test, train\) stand beside others that hold images \(others\)"),
        (("Train/cat", "Train/dog", "bus", "car"), r"splits \(Train\) stand beside others .* \(bus, car\)"),
        (("train", "Train", "test"), r"one folder a split.*train: Train, train"),
        (("train", "test/query", "test/other", "test/gallery"), r"expected folders for queries and gallery and none"),
        (("train", "test/query"), r"expected folders for queries and gallery"),
        (("train", "test", "query", "gallery"), r"queries and gallery, both and without a test folder"),
        (("train", "query"), r"queries and gallery, both and without a test folder"),
        (("dataset/Train", "dataset/Test"), r"photos/dataset holds .*Test, Train.*the data set itself; give that path"),
        (("a/b/train", "a/b/val"), r"photos/a/b holds folders named after splits.*give that path: .*photos/a/b$"),
        (("one/train", "one/test", "two/train", "two/test"), r"give that path: .*photos/one, .*photos/two"),
        (("train/train", "train/val", "test"), r"photos/train holds folders named after splits"),
        (("birds-train", "birds-test", "other"), r"\(birds-test, birds-train\) stand beside others .* \(other\)"),
        (("train", "photo.png", "test"), r"beside others that hold images \(photo.png\)"),
    ],
)
def test_splits_where_they_cannot_be_told_from_classes_are_refused(
    tmp_path: Path, folders: tuple[str, ...], message: str
) -> None:
    root = tmp_path / "photos"
    for number, folder in enumerate(folders):
        if folder.endswith(".png"):
            (root / folder).write_bytes(b"")
        else:
            write_classes(root / folder, CLASSES, start=100 * number)
    with pytest.raises(InputError, match=f"(?s){message}"):
        read_folder(root)


def test_splits_below_the_classes_are_refused(tmp_path: Path) -> None:
    for label in CLASSES:
        write_classes(tmp_path / "photos" / label, {"train": 3, "test": 2})
    with pytest.raises(InputError, match=r"below its classes; expected them above.*in 2 folders"):
        read_folder(tmp_path / "photos")


def test_one_folder_around_the_classes_says_what_to_give(tmp_path: Path) -> None:
    write_classes(tmp_path / "outer" / "photos" / "all", CLASSES)
    with pytest.raises(InputError, match=r"expected at least two classes, found one \('photos'\).*give .*photos/all$"):
        read_folder(tmp_path / "outer")


def test_a_split_without_training_images_is_no_class(tmp_path: Path) -> None:
    listing = read_folder(split_root(tmp_path / "photos", "Val", "Test"))
    with pytest.raises(InputError, match="expected training images"):
        assign_splits(listing, DataConfig(kind="folder", path="photos"))


def test_folders_without_images_do_not_disturb(tmp_path: Path) -> None:
    root = split_root(tmp_path / "photos", "train", "test")
    (root / "annotations").mkdir()
    (root / "annotations" / "boxes.json").write_text("{}")
    listing = read_folder(root)
    assert {entry.split for entry in listing.entries} == {"train", "test"}
    assert listing.notes == ("passed over: not an image by its extension (1 .json)",)


def test_classes_may_be_called_like_splits_when_that_is_said(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "vehicles", {"bus": 2, "car": 2, "train": 2})
    with pytest.raises(InputError, match=r'layout = "classes"'):
        read_folder(root)
    listing = read_folder(root, "classes")
    assert {entry.label for entry in listing.entries} == {"bus", "car", "train"}
    assert {entry.split for entry in listing.entries} == {""}
