from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hetero.data.checking.check import check, config_for
from hetero.data.config import DataConfig
from hetero.data.decoding.decode import UnreadableImageError, decode_bytes
from hetero.data.index.columns import Column, TextColumn, Texts, mapped
from hetero.data.index.image_index import open_index
from hetero.data.prepare import expected_names, fingerprint, prepare, training_labels
from hetero.data.subset import with_classes, with_rows
from hetero.errors import InputError, IntegrityError
from hetero.preprocessing import Preprocessing
from tests.hetero.data.index.shards import SMALL, picture, prepared, samples, tar_of, write_shards
from tests.hetero.data.pictures import write_classes


def hetero(*words: object) -> int:
    from hetero.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_columns_grow(tmp_path: Path) -> None:
    column = Column(tmp_path / "x.npy", np.int32, (2,))
    column.append([[1, 2]])
    column.append(np.zeros((0, 2)))
    column.append([[3, 4], [5, 6]])
    column.close()
    assert mapped(tmp_path / "x.npy").tolist() == [[1, 2], [3, 4], [5, 6]]


def test_texts_are_read_when_asked_for(tmp_path: Path) -> None:
    words = ["", "ä", "b" * 300, "", "猫", "end"]
    column = TextColumn(tmp_path, "t")
    column.append(words[:2])
    column.append([])
    column.append(words[2:])
    column.close()
    texts = Texts.in_files(tmp_path, "t")
    assert list(texts) == words and [texts[row] for row in range(6)] == words and texts[-1] == "end"
    assert list(texts.select(np.array([4, 0, 4]))) == ["猫", "", "猫"] and list(texts[1:3]) == words[1:3]
    assert list(texts[::2].select(np.array([1]))) == [words[2]]
    with pytest.raises(IndexError):
        texts[6]


def test_a_set_of_shards(tmp_path: Path) -> None:
    data = prepared(write_shards(tmp_path / "set"), tmp_path / "cache")
    assert (len(data.train) + len(data.validation), len(data.test)) == (24, 12)
    assert data.train.classes == ("a", "b", "c") and data.test.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.test.names[0] == "test-0/0200.png" and data.test.original(0) == picture(200)
    expected = np.stack([decode_bytes(picture(200 + row), "", SMALL)[0] for row in range(12)])
    assert np.array_equal(data.test.images[:], expected)
    assert np.array_equal(data.test.images[np.array([5, 0, 5])], expected[[5, 0, 5]])
    assert data.test.source is not None and data.test.source.sizes().tolist() == [[12, 9]] * 12
    large = data.test.prepared_by(Preprocessing(16, 16))
    assert np.array_equal(large.images[:1][0], decode_bytes(picture(200), "", Preprocessing(16, 16))[0])


def test_the_same_images_in_a_folder_are_split_alike(tmp_path: Path) -> None:
    """Names decide generated splits; they are those of the folder here."""
    root = write_classes(tmp_path / "set", {"a": 9, "b": 9, "c": 9})
    (tmp_path / "shards").mkdir()
    for label in "abc":
        members: dict[str, bytes] = {}
        for file in sorted((root / label).iterdir()):
            members |= {file.name: file.read_bytes(), f"{file.stem}.cls": label.encode()}
        (tmp_path / "shards" / f"{label}.tar").write_bytes(tar_of(members))
    folder = prepared(root, tmp_path / "cache", "folder")
    shards = prepared(tmp_path / "shards", tmp_path / "cache")
    for part in ("train", "validation", "test"):
        one, other = getattr(folder, part), getattr(shards, part)
        assert list(one.names) == list(other.names) and np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.images[:], other.images[:])
    assert [note for note in folder.notes if "made up" in note] == [note for note in shards.notes if "made up" in note]


def test_what_is_known_without_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    config = DataConfig(kind="webdataset", path=str(write_shards(tmp_path / "set")))
    data = prepare(config, SMALL)
    assert fingerprint(config, SMALL) == data.fingerprint
    names = [*data.train.names, *data.validation.names, *data.test.names]
    assert training_labels(config) == (0, len(data.train))
    expected = expected_names(config, copies=2)
    copies = [f"{name}#{copy}" for copy in (1, 2) for name in data.train.names]
    assert list(expected) == names + copies
    places = [0, len(names) - 1, len(names), -1]
    assert [expected[place] for place in places] == [(names + copies)[place] for place in places]
    assert expected[len(names) - 2 : len(names) + 2] == (names + copies)[len(names) - 2 : len(names) + 2]


def test_a_changed_byte_is_other_data(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set")
    before = prepared(folder, tmp_path / "cache", decoded_limit_gb=0.0)
    file = folder / "test-0.tar"
    data = bytearray(file.read_bytes())
    data[512 + 60] ^= 1  # within the first image
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"changed since it was indexed \(test-0/0200.png\)"):
        before.test.images[:1]
    assert prepared(folder, tmp_path / "cache").fingerprint != before.fingerprint


def test_subsets_stay_unread(tmp_path: Path) -> None:
    data = prepared(write_shards(tmp_path / "set"), tmp_path / "cache")
    some = with_rows(data.test, np.array([7, 2]))
    assert not isinstance(some.images, np.ndarray) and list(some.names) == ["test-0/0207.png", "test-0/0202.png"]
    assert np.array_equal(some.images[:], data.test.images[np.array([7, 2])])
    assert with_classes(data, ["b", "c"]).train.classes == ("b", "c")


def test_images_without_labels(tmp_path: Path) -> None:
    members = {f"{number}.png": picture(number % 30) for number in range(40)}
    (tmp_path / "a.tar").write_bytes(tar_of(members))
    data = prepared(tmp_path / "a.tar", tmp_path / "cache")
    assert not data.train.has_labels and data.test_tasks[0].name == "altered>original"
    train = np.asarray(data.train.labels)
    names = [int(name.split("/")[1].split(".")[0]) % 30 for name in data.train.names]
    assert len(np.unique(train)) == len(set(names)), "equal content counts as one image"


def test_unreadable_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_shards(tmp_path / "set")
    members = samples({"a": 3, "b": 3}, 300)
    members["0301.png"] = members["0301.png"][:70]
    (folder / "train-2.tar").write_bytes(tar_of(members))
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    data = prepared(folder, tmp_path / "cache", split="image")
    sets = (data.train, data.validation)
    with pytest.raises(UnreadableImageError, match=r"train-2/0301.png: .*hetero data check lists all"):
        [part.images[:] for part in sets]
    less = prepared(folder, tmp_path / "cache", split="image", skip_unreadable=True)
    assert len(less.train) + len(less.validation) == 29 and len(less.train.images[:]) == len(less.train)
    assert any(note == "1 unreadable images skipped of 42" for note in less.notes)
    assert hetero("data", "check", folder) == 2
    assert "train-2/0301.png: " in capsys.readouterr().out


def test_grey_of_more_bits_needs_a_range(tmp_path: Path) -> None:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.arange(108, dtype=np.uint16).reshape(9, 12) * 30).save(stream, "png")
    folder = write_shards(tmp_path / "set")
    (folder / "test-1.tar").write_bytes(tar_of({"1.png": stream.getvalue(), "1.cls": b"a"}))
    data = prepared(folder, tmp_path / "cache")
    with pytest.raises(InputError, match="grey_range"):
        data.test.images[:]


def test_the_check_agrees_with_that_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "photos"
    for split, start in (("train", 0), ("val", 100), ("test", 200)):
        write_classes(root / split, {"a": 4, "b": 4}, start=start)
    shutil.copy(root / "train" / "a" / "000.png", root / "test" / "a" / "000.png")
    shutil.copy(root / "train" / "a" / "001.png", root / "train" / "a" / "002.png")
    assert hetero("data", "index", root, "--out", tmp_path / "index") == 0
    one = check(DataConfig(kind="folder", path=str(root))).to_dict()
    other = check(DataConfig(kind="index", path=str(tmp_path / "index"))).to_dict()
    assert one["leaks"] and one == other


def test_the_kind_is_told_by_the_names_of_files(tmp_path: Path) -> None:
    for place in ("tars/a.tar", "photos/a/b.png", "hub/data/train-00000-of-00001.parquet", "saved/train/x.arrow"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    kinds = {
        "tars": "webdataset",
        "tars/*.tar": "webdataset",
        "photos": "folder",
        "hub": "parquet",
        "hub/data/*.parquet": "parquet",
        "saved": "parquet",
        "t.csv": "csv",
        "none": "folder",
    }
    assert {path: config_for(tmp_path / path).kind for path in kinds} == kinds
    assert config_for("s3://bucket/{0..9}.tar").kind == "webdataset" and config_for("s3://bucket").kind == "folder"


def test_an_index_moves_with_its_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_shards(tmp_path / "one" / "set")
    assert hetero("data", "index", folder, "--out", folder / "index") == 0
    assert "36 images in 3 files, 36 with a label" in capsys.readouterr().out
    before = prepared(folder / "index", tmp_path / "cache", "index")
    assert before.fingerprint == prepared(folder, tmp_path / "cache").fingerprint
    (tmp_path / "one").rename(tmp_path / "two")
    moved = prepared(tmp_path / "two" / "set" / "index", tmp_path / "cache", "index")
    assert (
        moved.fingerprint == before.fingerprint and np.array_equal(moved.test.images[:], before.test.images[:]) is True
    )
    (tmp_path / "two" / "set" / "train-1.tar").write_bytes(tar_of(samples({"a": 2, "b": 2})))
    with pytest.raises(InputError, match="1 files are not those that were indexed"):
        prepared(tmp_path / "two" / "set" / "index", tmp_path / "cache", "index")


def test_indices_are_not_trusted(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set")
    assert hetero("data", "index", folder, "--out", tmp_path / "index") == 0

    def changed(name: str, value: np.ndarray) -> Path:
        """The index with another column, and its digest put right."""
        from hetero.files import sha256_file

        copy = tmp_path / f"wrong-{name}-{value.ravel()[0]}"
        shutil.copytree(tmp_path / "index", copy)
        np.save(copy / f"{name}.npy", value)
        entry = json.loads((copy / "index.json").read_text())
        entry["columns"][name] = sha256_file(copy / f"{name}.npy")
        (copy / "index.json").write_text(json.dumps(entry))
        return copy

    index = open_index(tmp_path / "index")
    for name, value in {
        "label": index.label + 99,
        "source": index.columns["source"] - 1,
        "offset": -index.columns["offset"],
        "length": index.columns["length"][:5],
        "split": index.columns["split"].astype(np.int64),
        "names_ends": np.arange(36)[::-1].copy(),
    }.items():
        with pytest.raises(IntegrityError):
            open_index(changed(name, value))
    shutil.copytree(tmp_path / "index", tmp_path / "bent")
    with (tmp_path / "bent" / "content.npy").open("r+b") as stream:
        stream.seek(200)
        stream.write(b"\0\1\2")
    with pytest.raises(IntegrityError, match=r"content.npy is damaged"):
        open_index(tmp_path / "bent")
    for name, value in {
        "offset": index.columns["offset"] + (1 << 40),
        "length": index.columns["length"] + (1 << 62),
    }.items():
        with pytest.raises(IntegrityError, match="beyond the end of its file"):
            open_index(changed(name, value))
    with pytest.raises(IntegrityError, match="not UTF-8"):
        Texts(np.full(3, 255, np.uint8), np.array([3]))[0]
    stream = io.BytesIO()
    np.savez(stream, index.label)
    for data in (stream.getvalue(), b"\x93NUMPY\x01\x00\x06\x00{'a': ", b""):
        (tmp_path / "column.npy").write_bytes(data)
        with pytest.raises(IntegrityError, match="is not a column"):
            mapped(tmp_path / "column.npy")


def test_two_boxes_of_one_image_without_labels_are_two_classes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(0, size=(40, 40)))
    rows = [f"a.png,train,{left},{top},{left + 9},{top + 9}" for left in range(0, 30, 5) for top in (0, 20)]
    (tmp_path / "t.csv").write_text(
        "\n".join(["path,split,x_1,y_1,x_2,y_2", *rows, *(row.replace("train", "test") for row in rows)])
    )
    plain = prepared(tmp_path / "t.csv", tmp_path / "cache", "csv")
    assert hetero("data", "index", tmp_path / "t.csv", "--out", tmp_path / "index") == 0
    indexed = prepared(tmp_path / "index", tmp_path / "cache", "index")
    for one in (plain, indexed):
        assert len(set(one.train.labels.tolist())) == len(one.train) > 4


def test_names_cannot_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_shards(tmp_path / "set")
    (folder / "train-2.tar").write_bytes(
        tar_of({"\x1b[31mred.png": b"no image", "\x1b[31mred.cls": b"a", "\x1b.txt.gz": b""})
    )
    hetero("data", "check", folder)
    assert hetero("data", "index", folder, "--out", tmp_path / "index") == 0
    shown = capsys.readouterr()
    assert r"\x1b[31mred.png: " in shown.out and "\x1b" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("index", "photos", "--out", "taken"), "holds something else"),
        (("index", "index", "--out", "other"), "data already"),
        (("index", "empty.tar", "--out", "other"), "found none"),
        (("index", "half.tar", "--out", "other"), "cut off"),
        (("check", "photos", "--kind", "index"), "an index"),
        (("check", "photos", "--label", "x"), "label, image"),
    ],
)
def test_wrong_calls_are_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    write_classes(tmp_path / "photos", {"a": 3, "b": 3})
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    (tmp_path / "empty.tar").write_bytes(tar_of({"a.txt": b""}))
    (tmp_path / "half.tar").write_bytes(tar_of(samples({"a": 9}))[:5000])
    hetero("data", "index", "photos", "--out", "index")
    capsys.readouterr()
    assert hetero("data", *words) == 2
    shown = capsys.readouterr()
    assert message in shown.out + shown.err and "Traceback" not in shown.err
    assert not (tmp_path / "other").exists()
