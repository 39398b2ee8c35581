from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest

from hetero.data.index.tables import table_rows
from hetero.errors import InputError
from hetero.storage.unfinished import NO_ROOM
from tests.hetero.data.index.shards import picture, prepared

pa = pytest.importorskip("pyarrow", reason="needs the extra data")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra data")

NAMES = ["cat", "dog", "owl"]


def table(count: int, start: int = 0, *, labels: list[object] | None = None, stated: bool = True) -> pa.Table:
    """As datasets writes images with a ClassLabel."""
    images = [{"bytes": picture(start + number), "path": f"{number}.png"} for number in range(count)]
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = labels if labels is not None else [number % 3 for number in range(count)]
    schema = pa.schema([("image", kind), ("label", pa.int64() if stated else pa.string())])
    if stated:
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    return pa.table({"image": pa.array(images, kind), "label": values}, schema=schema)


def renamed(rows: pa.Table) -> pa.Table:
    about = rows.schema.metadata[b"huggingface"].replace(b'"label"', b'"fine"')
    return rows.rename_columns(["image", "fine"]).replace_schema_metadata({"huggingface": about})


def write(folder: Path, kind: str) -> Path:
    for split, count, start in (("train", 12, 0), ("test", 9, 50)):
        (folder / split).mkdir(parents=True)
        rows, file = table(count, start), folder / split / f"data-00000-of-00001.{kind.partition('-')[0]}"
        if kind == "parquet":
            parquet.write_table(rows, file, row_group_size=5)
        elif kind == "arrow":
            with pa.ipc.new_stream(file, rows.schema) as writer:
                writer.write_table(rows, max_chunksize=5)
        else:
            with pa.ipc.new_file(file, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
                writer.write_table(rows, max_chunksize=5)
    return folder


def test_files_that_differ_in_their_suffix_alone_have_images_of_different_names(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    parquet.write_table(table(12), tmp_path / "set" / "train.parquet")
    with pa.ipc.new_stream(tmp_path / "set" / "train.arrow", table(1).schema) as writer:
        writer.write_table(table(12, 20))
    parquet.write_table(table(12, 40), tmp_path / "set" / "test.parquet")
    read = prepared(tmp_path / "set", tmp_path / "cache", "parquet")
    names = [name for part in (read.train, read.validation, read.test) for name in part.names]
    assert len(names) == len(set(names)) == 36
    assert {name.partition("/")[0] for name in names} == {"train.arrow", "train.parquet", "test.parquet"}


def test_a_full_disk_is_no_damaged_file(tmp_path: Path) -> None:
    parquet.write_table(table(12), tmp_path / "a.parquet")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            table_rows(str(tmp_path / "a.parquet"), "a", tmp_path / "copy.bin", image="", label="label")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno in NO_ROOM


@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrow-compressed"])
def test_images_and_names_of_classes(tmp_path: Path, kind: str) -> None:
    data = prepared(write(tmp_path / "set", kind), tmp_path / "cache", "parquet")
    assert len(data.train) + len(data.validation) == 12 and len(data.test) == 9
    assert data.test.classes == ("cat", "dog", "owl") and data.test.labels.tolist() == [0, 1, 2] * 3
    assert data.test.names[4] == "test/data-00000-of-00001/000004.png"
    assert [data.test.original(row) for row in range(9)] == [picture(50 + row) for row in range(9)]
    copies = [file.stat().st_size for file in (tmp_path / "cache").rglob("*.bin")]
    assert len(copies) == (0 if kind == "arrow" else 2), "uncompressed Arrow is read where it lies"
    again = prepared(tmp_path / "set", tmp_path / "cache", "parquet")
    assert again.fingerprint == data.fingerprint
    assert np.array_equal(again.test.images[:], data.test.images[:])


def test_labels_may_be_texts_and_may_be_missing(tmp_path: Path) -> None:
    labels: list[object] = [None, *"abababababababababa"]
    parquet.write_table(table(20, labels=labels, stated=False), tmp_path / "some.parquet")
    data = prepared(tmp_path / "*.parquet", tmp_path / "cache", "parquet", split="image")
    assert sum(part.unlabelled for part in (data.train, data.validation, data.test)) <= 1
    assert set(data.train.classes) == {"a", "b"}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (pa.table({"label": [1]}), {}, "one column of image files"),
        (table(3).append_column("mask", pa.array([b"", b"", b""])), {"image": "photo"}, "a column 'photo'"),
        (renamed(table(3)), {}, "a column 'label'"),
        (table(3), {"label": "fine"}, "a column 'fine'"),
        (table(3, labels=[0, 1, 9]), {}, "names 3 classes"),
        (pa.table({"image": pa.array([{"bytes": None, "path": "x"}])}), {}, "no bytes|one column"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(
    tmp_path: Path, rows: pa.Table, options: dict[str, str], message: str
) -> None:
    parquet.write_table(rows, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        prepared(tmp_path / "t.parquet", tmp_path / "cache", "parquet", **options)
    assert not list((tmp_path / "cache").rglob("*.bin"))


@pytest.mark.parametrize("kind", ["names", "twice"])
def test_tables_of_odd_descriptions_are_refused_or_read(tmp_path: Path, kind: str) -> None:
    rows = table(12)
    if kind == "names":
        about = rows.schema.metadata[b"huggingface"].replace(b'["cat", "dog", "owl"]', b"5")
        rows = rows.replace_schema_metadata({"huggingface": about})
    else:
        rows = rows.append_column("image", rows["image"])
    with pa.ipc.new_stream(tmp_path / "t.arrow", rows.schema) as writer:
        writer.write_table(rows)
    images = table_rows(str(tmp_path / "t.arrow"), "t", tmp_path / "copy.bin", image="", label="label")
    assert images.labels[:3] == ["0", "1", "2"] if kind == "names" else "several columns" in images.problems[0]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_that_are_cut_off_are_refused(tmp_path: Path, kind: str) -> None:
    folder = write(tmp_path / "set", kind)
    file = next(folder.glob("train/*"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be indexed"):
        prepared(folder, tmp_path / "cache", "parquet")


def forged(promised: int) -> bytes:
    """A Parquet file whose footer promises a schema of so many elements, and ends there.

    Thrift's compact protocol: version 1 (field 1, an integer), then field 2, a list of structs.
    """
    number = bytearray()
    while promised >= 0x80:
        number.append(promised & 0x7F | 0x80)
        promised >>= 7
    footer = b"\x15\x02\x19\xfc" + bytes(number) + bytes([promised]) + bytes(20)
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_a_footer_that_promises_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "train-0.parquet"
    file.write_bytes(forged(900_000))
    with pytest.raises(InputError, match=r"cannot be indexed(.|\n)*not a whole parquet file: .*Exceeded size limit"):
        prepared(tmp_path / "*.parquet", tmp_path / "cache", "parquet")
    file.write_bytes(b"PAR1" + (1 << 30).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(InputError, match="its footer would take 1073741824 of 12 bytes"):
        prepared(tmp_path / "*.parquet", tmp_path / "cache", "parquet")
