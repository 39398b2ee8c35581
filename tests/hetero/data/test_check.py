from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from hetero.cli.main import main
from hetero.data.checking.check import check, config_for
from tests.hetero.data.pictures import write_classes, write_picture


def animals(root: Path) -> Path:
    write_classes(root / "train", {"cat": 6, "dog": 4})
    write_classes(root / "validation", {"cat": 2, "dog": 2}, start=100)
    write_classes(root / "test", {"cat": 3, "dog": 2, "emu": 1}, start=200)
    return root


def hetero(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def test_report_counts_what_is_there(tmp_path: Path) -> None:
    root = animals(tmp_path / "animals")
    write_picture(root / "train" / "dog" / "big.png", seed=900, size=(40, 50))
    Image.new("L", (7, 5)).save(root / "train" / "dog" / "grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (7, 5), "red").save(root / "train" / "dog" / "turned.jpg", exif=exif)
    report = check(config_for(root))
    train, test = report.splits["train"], report.splits["test"]
    assert (train.images, train.classes, train.images_per_class) == (13, 2, (6, 6.5, 7))
    assert (test.images, test.single_image_classes) == (6, 1)
    assert (report.widths, report.heights) == ((7, 40), (5, 50))
    assert report.modes == {"RGB": 22, "L": 1} and report.turned == 1
    assert [(task.split, task.protocol, task.queries, task.gallery, task.dropped_queries) for task in report.tasks] == [
        ("validation", "leave-one-out", 4, 4, 0),
        ("test", "leave-one-out", 5, 6, 1),
    ]
    assert report.problems == () and report.leaks == ()


def test_equal_files_in_two_splits_are_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = animals(tmp_path / "animals")
    shutil.copy(root / "train" / "cat" / "001.png", root / "test" / "cat" / "again.png")
    shutil.copy(root / "train" / "cat" / "002.png", root / "train" / "cat" / "twice.png")
    report = check(config_for(root))
    (leak,) = report.leaks
    assert set(leak.names) == {"train/cat/001.png", "test/cat/again.png"} and leak.splits == ("test", "train")
    assert report.duplicates_within == 1
    assert hetero("data", "check", str(root)) == 0
    output = capsys.readouterr().out
    assert "WARNING: 1 groups of files of equal content lie in more than one split" in output
    assert "train/cat/001.png = test/cat/again.png" in output and "ready to train on" in output


def test_unreadable_files_are_listed_and_end_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = animals(tmp_path / "animals")
    for name in ("000", "003"):
        (root / "train" / "cat" / f"{name}.png").write_bytes(b"damaged")
    assert hetero("data", "check", str(root)) == 2
    output = capsys.readouterr()
    assert "train/cat/000.png: cannot identify image file" in output.out
    assert "train/cat/003.png: cannot identify image file" in output.out
    assert "2 of 20 images cannot be read" in output.err
    assert hetero("data", "check", str(root), "--skip-unreadable") == 0
    assert "2 unreadable images skipped of 20" in capsys.readouterr().out


def test_json_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hetero("data", "check", str(animals(tmp_path / "animals")), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["splits"]["test"]["images"] == 6 and report["problems"] == []


def test_tables_are_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(tmp_path / "images", {"a": 6, "b": 6, "c": 6, "d": 6})
    rows = [f"{label},{label}/{n:03}.png,{'train' if label in 'ab' else 'test'}" for label in "abcd" for n in range(6)]
    (tmp_path / "data.csv").write_text("\n".join(["label,path,split", *rows]))
    assert (
        hetero("data", "check", str(tmp_path / "data.csv"), "--root", str(tmp_path / "images"), "--split", "image") == 0
    )
    assert "CSV with label, path, split" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected either the PATH"),
        (("photos", "--emoji"), "expected either the PATH"),
        (("no/such/folder",), "expected an image folder at no/such/folder, found nothing"),
        (("no/such.csv",), "expected a CSV file at no/such.csv, found nothing"),
    ],
)
def test_usage_errors_are_one_message(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hetero("data", "check", *arguments) == 2
    assert message in capsys.readouterr().err


def test_looking_at_data_imports_no_torch() -> None:
    code = (
        "import sys, hetero.data.checking.command, hetero.data.prepare, hetero.data.loader, "
        "hetero.data.embeddings.file, hetero.data.augmentation.config; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
