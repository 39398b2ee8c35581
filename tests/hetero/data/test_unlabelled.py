"""Images without labels: where they may lie, how they are split, and how they are searched for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hetero.cli.main import main
from hetero.data.config import DataConfig
from hetero.data.images import Dataset
from hetero.data.prepare import expected_names, fingerprint, prepare, training_labels
from hetero.data.sources.folder import read_folder
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from tests.hetero.data.pictures import write_classes, write_flat, write_picture

SMALL = Preprocessing(8, 8)


def prepared(tmp_path: Path, root: Path, **rest: object) -> Dataset:
    kind = "csv" if root.suffix == ".csv" else "folder"
    return prepare(DataConfig(kind=kind, path=str(root), **rest), SMALL, cache=tmp_path / "cache")  # type: ignore[arg-type]


def test_a_flat_folder_is_split_by_image_and_searched_by_altered_copies(tmp_path: Path) -> None:
    root = write_flat(tmp_path / "photos", 40)
    data = prepared(tmp_path, root)
    assert (len(data.train), len(data.validation), len(data.test)) == (25, 2 * 3, 2 * 12)
    for images in (data.train, data.validation, data.test):
        assert images.classes == () and not images.has_labels and images.unlabelled == len(images)
    assert data.train.labels.tolist() == list(range(25)), "each image is its own class"
    assert data.test.labels.tolist() == [*range(12), *range(12)], "and its altered copy is of that class"
    assert data.test.names[12:] == tuple(f"{name}#1" for name in data.test.names[:12])
    (task,) = data.test_tasks
    assert task.name == "altered>original" and not task.exclude_self
    assert (task.query.tolist(), task.gallery.tolist()) == ([*range(12, 24)], [*range(12)])
    assert [data.test.view_names[view] for view in (data.test.views[0], data.test.views[-1])] == ["original", "altered"]
    names = {*data.train.names, *data.validation.names[:3], *data.test.names[:12]}
    assert names == {f"{number:03}.png" for number in range(40)}
    config = DataConfig(kind="folder", path=str(root))
    assert data.fingerprint == fingerprint(config, SMALL, cache=tmp_path / "cache")
    assert sorted(expected_names(config, copies=1)) == sorted(
        [*data.train.names, *(f"{name}#1" for name in data.train.names), *data.validation.names, *data.test.names]
    )
    assert training_labels(config) == (25, 25)


def test_the_seed_decides_splits_and_copies(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for split, start in (("train", 0), ("validation", 50), ("test", 90)):
        write_flat(root / split, 6, start)
    first, same, other = (prepared(tmp_path, root, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test.images[:], same.test.images[:])
    assert np.array_equal(first.test.images[:6], other.test.images[:6]) and first.test.names == other.test.names
    assert not np.array_equal(first.test.images[6:], other.test.images[6:])
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert first.test.fingerprint != other.test.fingerprint


def test_one_split_may_lack_what_another_has(tmp_path: Path) -> None:
    root = write_flat(tmp_path / "shop" / "train", 9).parent
    write_classes(root / "val", {"a": 2, "b": 2}, start=100)
    write_classes(root / "test", {"a": 3, "b": 2}, start=200)
    data = prepared(tmp_path, root)
    assert data.train.unlabelled == 9 and data.validation.has_labels and data.test.classes == ("a", "b")
    assert [task.name for task in (*data.validation_tasks, *data.test_tasks)] == ["leave-one-out", "leave-one-out"]
    assert read_folder(root).layout.endswith("; without labels: train")

    shutil.rmtree(root / "test")
    write_flat(root / "test", 4, 300)
    (root / "train").rename(root / "unlabelled")
    write_picture(root / "unlabelled" / "more" / "deep" / "x.png", 400)
    turned = prepared(tmp_path, root)
    assert len(turned.train) == 10, "there being no others, these are the training images, at any depth"
    assert turned.validation_tasks[0].name == "leave-one-out" and turned.test_tasks[0].name == "altered>original"


@pytest.mark.parametrize("name", ["unlabelled", "unlabeled2017", "Extra", "extra_images"])
def test_a_folder_beside_the_splits_joins_training(tmp_path: Path, name: str) -> None:
    root = tmp_path / "shop"
    write_classes(root / "train", {"a": 12, "b": 12})
    write_classes(root / "test", {"a": 3, "b": 2}, start=200)
    write_flat(root / name, 5, 300)
    data = prepared(tmp_path, root)
    assert data.train.unlabelled == 5 and data.train.classes == ("a", "b")
    assert all(named.startswith(f"{name}/") for named in np.array(data.train.names)[~data.train.labelled])
    assert data.validation.has_labels, "held out of the images with labels"
    assert "5 images without labels join training" in data.notes


def test_folders_given_beside_the_data_join_training(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "shop", {"a": 12, "b": 12})
    more, again = write_flat(tmp_path / "more", 3, 300), write_flat(tmp_path / "other" / "more", 2, 400)
    write_picture(more / "deep" / "er.png", 500)
    data = prepared(tmp_path, root, extra=(str(more), str(again)))
    without = prepared(tmp_path, root)
    assert data.train.unlabelled == 6
    added = set(data.train.names) - set(without.train.names)
    assert added == {
        "more/000.png",
        "more/001.png",
        "more/002.png",
        "more/deep/er.png",
        "more/000.png@2",
        "more/001.png@2",
    }
    assert data.test.names == without.test.names and data.validation.names == without.validation.names
    with pytest.raises(InputError) as caught:
        prepared(tmp_path, tmp_path / "gone", extra=(str(more), str(tmp_path / "lost")))
    assert [problem.split(": expected")[0] for problem in caught.value.problems] == ["path", "extra.1"]


def test_equal_files_are_one_image(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for split, start in (("train", 0), ("validation", 50), ("test", 90)):
        write_flat(root / split, 4, start)
    for split in ("train", "test"):
        shutil.copy(root / split / "000.png", root / split / "again.png")
    data = prepared(tmp_path, root)
    assert data.train.labels.tolist() == [0, 1, 2, 3, 0]
    assert data.test.labels.tolist() == [0, 1, 2, 3, 0] * 2
    assert len(data.test_tasks[0].query) == 5


def test_what_lies_at_several_levels_is_refused_unless_the_layout_is_flat(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "photos", {"a": 6, "b": 6})
    write_picture(root / "stray.png", 99)
    with pytest.raises(InputError, match=r'one folder a class, found 1 images beside them.*layout = "flat"'):
        read_folder(root)
    assert prepared(tmp_path, root, layout="flat").train.classes == ()
    only = write_flat(tmp_path / "camera" / "only", 8)
    with pytest.raises(InputError, match=r'found one \(.only.\).*layout = "flat"'):
        prepared(tmp_path, only.parent)
    assert prepared(tmp_path, only.parent, layout="flat").train.unlabelled == 4
    with pytest.raises(InputError, match="expected one folder a class"):
        read_folder(only, "classes")
    write_classes(tmp_path / "beside", {"a": 3, "b": 3, "unlabelled": 3})
    with pytest.raises(InputError, match=r'folders named after splits \(unlabelled\).*layout = "classes"'):
        read_folder(tmp_path / "beside")
    assert len(read_folder(tmp_path / "beside", "classes").entries) == 9


def test_flat_splits_stay_splits(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_classes(root / "train", {"2023": 8, "2024": 8})
    write_classes(root / "test", {"2023": 3}, start=70)
    data = prepared(tmp_path, root, layout="flat")
    assert all(name.startswith("test/") for name in data.test.names) and data.train.classes == ()
    write_picture(root / "other" / "1.png", 98)
    pooled = prepared(tmp_path, root, layout="flat")
    assert any(name.startswith("train/") for name in pooled.test.names), "beside others they are folders like any"


def test_folders_named_after_dates_are_doubted(tmp_path: Path) -> None:
    dated = read_folder(write_classes(tmp_path / "dated", {"2023-07": 2, "20240101": 2, "101CANON": 1}))
    assert 'layout = "flat"' in dated.notes[-1]
    assert read_folder(write_classes(tmp_path / "digits", {"0": 2, "7": 2, "2023": 1})).notes == ()


def test_queries_and_gallery_need_labels(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "shop" / "train", {"a": 4, "b": 4}).parent
    for role in ("query", "gallery"):
        write_flat(root / "test" / role, 3, len(role))
    with pytest.raises(InputError, match="expected one folder a class, found 3 images beside them"):
        read_folder(root)


def rows(tmp_path: Path, **labels: list[str]) -> Path:
    """A table with these labels in each split; every image is another."""
    lines: list[str] = []
    for split, names in labels.items():
        for label in names:
            file = write_picture(tmp_path / f"{len(lines)}.png", len(lines))
            lines.append(f"{label},{file.name},{split}")
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["label,path,split", *lines]))
    return path


def test_empty_labels_of_a_table(tmp_path: Path) -> None:
    table = rows(
        tmp_path, train=["a", "", "b", "a", "b", ""], validation=["a", "a", "b"], test=["a", "a", "", "b", "b"],
        unlabelled=["", ""],
    )  # fmt: skip
    data = prepared(tmp_path, table)
    labels = dict(zip(data.train.names, data.train.labels.tolist(), strict=True))
    assert [labels[f"{row}.png"] for row in (0, 2, 3, 4)] == [0, 1, 0, 1] and data.train.classes == ("a", "b")
    assert {labels[f"{row}.png"] for row in (1, 5, 14, 15)} == {2, 3, 4, 5}, "each a class of its own"
    assert dict(zip(data.train.names, data.train.labelled, strict=True)) == {name: labels[name] < 2 for name in labels}
    assert set(data.test.names) == {"9.png", "10.png", "12.png", "13.png"}
    assert "test: 1 images without a label left out, others have one" in data.notes
    assert training_labels(DataConfig(kind="csv", path=str(table))) == (4, 8)


def test_a_table_without_the_column(tmp_path: Path) -> None:
    table = rows(tmp_path, train=[""] * 8, test=[""] * 3)
    text = "\n".join(line.partition(",")[2] for line in table.read_text().splitlines())
    table.write_text(text)
    data = prepared(tmp_path, table)
    assert data.train.classes == () and data.test_tasks[0].name == "altered>original"
    for wrong, meant in (("class", "class"), ("labels", "labels")):
        table.write_text("\n".join(f"{wrong if not n else 'x'},{line}" for n, line in enumerate(text.splitlines())))
        with pytest.raises(InputError) as caught:
            prepared(tmp_path, table)
        assert caught.value.problems == (f"column 'label' is missing; did you mean it by {meant!r}?",)
    table.write_text("path,split,is_query,is_gallery\n0.png,test,1,0\n")
    with pytest.raises(InputError, match="say who searches for whose class"):
        prepared(tmp_path, table)


def test_a_protocol_of_classes_needs_them(tmp_path: Path) -> None:
    root = write_flat(tmp_path / "photos", 20)
    with pytest.raises(InputError, match="test images of photos: protocol leave-one-out needs labels"):
        prepared(tmp_path, root, protocol="leave-one-out")


def test_too_few_images_to_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too few images to hold any out"):
        prepared(tmp_path, write_flat(tmp_path / "photos", 3))
    with pytest.raises(InputError, match="expected at least two images, found one"):
        prepared(tmp_path, write_flat(tmp_path / "single", 1))


def test_the_check_says_what_it_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_classes(tmp_path / "photos" / "train", {"a": 6, "b": 6}).parent
    write_flat(root / "test", 3, 200)
    shutil.copy(root / "test" / "000.png", root / "test" / "again.png")
    more = write_flat(tmp_path / "more", 5, 400)
    with pytest.raises(SystemExit):
        main(["data", "check", str(root), "--extra", str(more), "--json"])
    report = json.loads(capsys.readouterr().out)
    train, test = report["splits"]["train"], report["splits"]["test"]
    assert (train["unlabelled"], train["classes"], test["unlabelled"], test["classes"]) == (5, 2, 4, 0)
    assert {task["split"]: task["protocol"] for task in report["tasks"]} == {
        "validation": "leave-one-out",
        "test": "own-copy",
    }
    with pytest.raises(SystemExit):
        main(["data", "check", str(root), "--extra", str(more)])
    text = capsys.readouterr().out
    assert "not every training image has a label: students learn by instance_contrastive, cloud_regression" in text
    assert "no test image has a label: each is searched for by an altered copy of itself" in text
    assert "1 groups of files of equal content within a split; without labels, each counts as one image" in text
