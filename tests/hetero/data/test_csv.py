from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetero.data.config import DataConfig
from hetero.data.prepare import prepare
from hetero.data.sources.csv import read_csv
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from tests.hetero.data.pictures import write_picture

SMALL = Preprocessing(8, 8)


def table(folder: Path, header: str, *rows: str) -> Path:
    path = folder / "data.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def oml_rows(folder: Path) -> list[str]:
    """What open-metric-learning writes: flags empty for training rows, True and False for the others."""
    rows: list[str] = []
    for label in range(6):
        for number in range(4):
            write_picture(folder / "images" / f"{label}_{number}.png", seed=10 * label + number)
            split = "train" if label < 4 else "validation"
            flags = "," if split == "train" else f"{number == 0},{number > 0}"
            rows.append(f"{label},images/{label}_{number}.png,{split},{flags}")
    return rows


def test_open_metric_learning_table(tmp_path: Path) -> None:
    path = table(tmp_path, "label,path,split,is_query,is_gallery", *oml_rows(tmp_path))
    data = prepare(DataConfig(kind="csv", path=str(path)), SMALL, cache=tmp_path / "cache")
    assert data.test.classes == ("4", "5"), "its validation rows are what is tested on"
    (task,) = data.test_tasks
    assert np.array(data.test.names)[task.query].tolist() == ["images/4_0.png", "images/5_0.png"]
    assert len(task.gallery) == 6 and not task.exclude_self
    assert len(data.validation.classes) == 2 and data.validation_tasks[0].name == "leave-one-out"
    assert len(data.train) == 8


def test_paths_count_from_the_root_given(tmp_path: Path) -> None:
    rows = oml_rows(tmp_path / "elsewhere")
    path = table(tmp_path, "label,path,split,is_query,is_gallery", *rows)
    with pytest.raises(InputError, match="no file at"):
        read_csv(path)
    data = prepare(
        DataConfig(kind="csv", path=str(path), root=str(tmp_path / "elsewhere")), SMALL, cache=tmp_path / "cache"
    )
    assert len(data.test) == 8


def test_boxes_cut_objects_out_of_one_image(tmp_path: Path) -> None:
    write_picture(tmp_path / "shelf.png", size=(20, 10))
    header = "label,path,split,x_1,y_1,x_2,y_2,comment"
    rows = [
        f"{split}{side},shelf.png,{split},{x},0,{x + 10},10,"
        for split in ("train", "test")
        for side, x in ((0, 0), (1, 10))
        for _ in (0, 1)
    ]
    entries = read_csv(table(tmp_path, header, *rows, "whole,shelf.png,test,,,,,")).entries
    assert len({entry.name for entry in entries}) == 9
    boxes = {entry.label: entry.box for entry in entries}
    assert boxes["test1"] == (10.0, 0.0, 20.0, 10.0) and boxes["whole"] is None


def test_view_column_makes_cross_view_tasks(tmp_path: Path) -> None:
    rows = []
    for label in "abcdefgh":
        for view in ("shop", "user"):
            write_picture(tmp_path / f"{label}_{view}.png", seed=ord(label) * 2 + len(view))
            rows.append(f"{label},{label}_{view}.png,{'train' if label < 'e' else 'test'},{view}")
    path = table(tmp_path, "label,path,split,view", *rows)
    data = prepare(DataConfig(kind="csv", path=str(path)), SMALL, cache=tmp_path / "cache")
    assert [task.name for task in data.test_tasks + data.validation_tasks] == ["shop>user", "shop>user"]


def test_wrong_columns_come_together_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="came: labels, path, splitt, is_querry, is_gallery") as caught:
        read_csv(table(tmp_path, "labels,path,splitt,is_querry,is_gallery", "a,b,train,,"))
    assert caught.value.problems == (
        "column 'label' is missing; did you mean it by 'labels'?",
        "column 'split' is missing; did you mean it by 'splitt'?",
        "column 'is_query' is missing; did you mean it by 'is_querry'?",
    )
    with pytest.raises(InputError) as caught:
        read_csv(table(tmp_path, "label,path,split,isquery,isgallery", "a,b,train,,"))
    assert len(caught.value.problems) == 2 and "did you mean 'is_query'" in caught.value.problems[0]
    with pytest.raises(InputError) as caught:
        read_csv(table(tmp_path, "label;path;split", "a;b;train"))
    assert len(caught.value.problems) == 3


def test_wrong_rows_come_together_with_their_lines(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    rows = [
        "x,a.png,train,,,0,0,4,4",
        "x,a.png,unlabelled,,,0,0,4,4",
        "x,missing.png,test,True,False,0,0,4,4",
        "x,a.png,test,maybe,True,0,0,4,4",
        "x,a.png,holdout,True,True,0,0,4,4",
        "x,a.png,test,False,False,0,0,4,4",
        "x,a.png,test,1,0,4,0,4,4",
        "x,a.png,test,1.0,0.0,0,zero,4,4",
        "x,a.png,test,1",
        "x,,test,,True,0,0,4,4",
    ]
    with pytest.raises(InputError, match="10 problems in 10 rows") as caught:
        read_csv(table(tmp_path, "label,path,split,is_query,is_gallery,x_1,y_1,x_2,y_2", *rows))
    expected = {
        3: "an image of split unlabelled has no label, got 'x'; leave it out, or say train",
        4: "no file at",
        5: "is_query must be true or false",
        6: "split must be train, validation, test or unlabelled, got 'holdout'",
        7: "neither is_query nor is_gallery",
        8: "a box needs",
        9: "x_1, y_1, x_2, y_2 must be four numbers",
        10: "expected 9 fields as in the header, found 4",
        11: "the path is missing",
    }
    for line, reason in expected.items():
        assert any(problem.startswith(f"line {line}: {reason}") for problem in caught.value.problems), reason
    assert any(problem.startswith("line 11: is_query must be") for problem in caught.value.problems)


def test_thousands_of_wrong_rows_stay_readable(tmp_path: Path) -> None:
    rows = [f"x,missing{number}.png,train" for number in range(500)]
    with pytest.raises(InputError, match="500 problems") as caught:
        read_csv(table(tmp_path, "label,path,split", *rows))
    assert len(caught.value.problems) == 101 and caught.value.problems[-1] == "... and 400 more"


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a CSV file at .*, found nothing"):
        read_csv(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="found a folder"):
        read_csv(tmp_path)
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match="not a CSV file in UTF-8"):
        read_csv(tmp_path / "binary.csv")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(InputError, match="an empty file"):
        read_csv(tmp_path / "empty.csv")
    with pytest.raises(InputError, match="found none below the header"):
        read_csv(table(tmp_path, "label,path,split"))
