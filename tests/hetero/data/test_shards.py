"""Folders of embeddings: what is written is read, by name, mapped, and never wrongly."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from hetero.data.embeddings import name_search, shard_file
from hetero.data.embeddings.file import EmbeddingFile, embeddings_of, load_embeddings, rows_in
from hetero.data.embeddings.shard_file import shard_bytes
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.data.embeddings.shards_writing import begin, require_folder, write_shard
from hetero.errors import InputError, IntegrityError
from hetero.space import EmbeddingSpace

SPACE = EmbeddingSpace.define(defined_by="ab", name="cloud", version="1", dimension=3)
NAMES = ("b.jpg", "a.jpg", "ü/ß.jpg", "d#1.jpg", "e\nf.jpg", "g.jpg", "h.jpg")


def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(NAMES), 3)).astype(np.float32)


def record(dtype: str = "float32", **changed: object) -> ShardsRecord:
    plain = ShardsRecord(len(NAMES), 3, dtype, SPACE, model="m", data="d", batch_size=2)  # pyright: ignore
    return dataclasses.replace(plain, **changed)  # pyright: ignore


def written(folder: Path, dtype: str = "float32", rows: np.ndarray | None = None) -> Path:
    entry, rows = record(dtype), vectors() if rows is None else rows
    for start in begin(folder, entry):
        stop = entry.stop(start)
        write_shard(folder, entry, start, rows[start:stop], NAMES[start:stop])
    return folder


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_shards_hold_what_was_written_for_us_and_for_any_reader_of_parquet(tmp_path: Path, dtype: str) -> None:
    folder, expected = written(tmp_path / "e", dtype), vectors().astype(dtype)
    files = ["000000000000-000000000003.parquet", "000000000003-000000000006.parquet"]
    files += ["000000000006-000000000007.parquet", "embeddings.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    read = load_embeddings(folder)
    assert read.names == NAMES and read.space == SPACE
    assert np.array_equal(read.embeddings, expected.astype(np.float32))
    table = pq.read_table(folder / files[1])
    assert table["name"].to_pylist() == list(NAMES[3:6])
    assert table.schema.field("embedding").type == pa.list_(pa.field("element", pa.from_numpy_dtype(dtype), False), 3)
    assert np.array_equal(np.array(table["embedding"].to_pylist(), dtype), expected[3:6])
    assert b'"space_id"' in table.schema.metadata[b"hetero"]


def test_rows_are_read_in_any_order_and_equal_those_of_a_file_bit_by_bit(tmp_path: Path) -> None:
    shards = EmbeddingShards(written(tmp_path / "e"))
    file = EmbeddingFile(vectors(), NAMES, SPACE)
    wanted = [NAMES[row] for row in (6, 0, 3, 3, 1)]
    assert np.array_equal(embeddings_of(shards, wanted), embeddings_of(file, wanted))
    mapped = shards.mapped(rows_in(shards, wanted))
    whole = embeddings_of(file, wanted)
    assert mapped.shape == (5, 3) and len(mapped) == 5
    assert np.array_equal(mapped[1:4], whole[1:4])
    assert np.array_equal(mapped[np.array([4, 0])], whole[[4, 0]])
    assert mapped[np.array([], np.int64)].shape == (0, 3)
    assert np.allclose(np.linalg.norm(mapped[:], axis=1), 1, atol=1e-6)
    assert np.array_equal(shards.raw(np.array([5, 2])), vectors()[[5, 2]])
    assert shards.names_of(np.array([0, 2, 3, 6])) == [NAMES[row] for row in (0, 2, 3, 6)]


def test_missing_names_are_told_as_for_a_file(tmp_path: Path) -> None:
    shards = load_embeddings(written(tmp_path / "e"))
    with pytest.raises(InputError, match=r"1 of 2 images have no embedding; the file's names look like 'b.jpg'") as e:
        embeddings_of(shards, ["a.jpg", "u\u0308/ß.jpg"])
    assert "looks the same: Unicode NFC and NFD" in str(e.value)


def test_names_whose_digests_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_search, "_digests", lambda names: np.array([len(name) for name in names]))
    parts = [["aa", "bb"], ["c", "dd", "ee"]]
    rows = name_search.rows_of_names(parts, ["ee", "aa", "xx", "c", "ee", "zzz"])
    assert rows.tolist() == [4, 0, -1, 2, 4, -1]
    assert name_search.rows_of_names(parts, []).tolist() == []


def test_an_interrupted_folder_keeps_its_shards_and_lacks_the_others(tmp_path: Path) -> None:
    folder = written(tmp_path / "e")
    lost = folder / "000000000003-000000000006.parquet"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    lost.unlink()
    with pytest.raises(InputError, match=r"lacks 1 of 3 shards \(000000000003-000000000006.parquet\)"):
        load_embeddings(folder)
    assert begin(folder, record()) == [3]
    written(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "other"}, "the model's weights or preprocessing: m there, other now"),
        ({"data": "other"}, "the images: d there, other now"),
        ({"dtype": "float16"}, "dtype: float32 there, float16 now"),
        ({"batch_size": 4}, "batch_size: 2 there, 4 now"),
        ({"rows": 8}, "rows: 7 there, 8 now"),
    ],
)
def test_other_embeddings_are_refused_with_what_differs(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    folder = written(tmp_path / "e")
    with pytest.raises(InputError, match="holds other embeddings") as caught:
        begin(folder, record(**changed))
    assert message in str(caught.value)


def test_no_other_folder_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("x")
    with pytest.raises(InputError, match="photos is not empty and holds no embeddings"):
        require_folder(tmp_path / "photos", ["a"])
    with pytest.raises(InputError, match="names repeat"):
        require_folder(tmp_path / "new", ["a", "a"])


@pytest.mark.parametrize("place", [0.3, 0.9])
def test_a_changed_byte_of_a_vector_is_found(tmp_path: Path, place: float) -> None:
    folder = written(tmp_path / "e")
    shard = EmbeddingShards(folder)._shards[1]
    data = bytearray(shard.path.read_bytes())
    data[shard.page[0] + int(place * shard.page[1])] ^= 1
    shard.path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="is damaged: its vectors are not those that were written"):
        EmbeddingShards(folder).require_whole()
    opened = load_embeddings(folder)
    assert np.isfinite(embeddings_of(opened, NAMES[:3])).all(), "a shard that is whole"
    for use in (
        lambda: embeddings_of(opened, NAMES[3:4]),
        lambda: EmbeddingShards(folder).embeddings,
        lambda: EmbeddingShards(folder).raw(np.array([5])),
    ):
        with pytest.raises(IntegrityError, match="is damaged: its vectors"):
            use()


def test_random_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    folder, generator = written(tmp_path / "e"), np.random.default_rng(0)
    path = folder / "000000000003-000000000006.parquet"
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        data = bytearray(whole)
        data[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(bytes(data))
        try:
            shards = EmbeddingShards(folder)
            shards.require_whole()
            assert shards.names == NAMES and np.array_equal(shards.embeddings, vectors())
        except InputError:
            refused += 1
    assert refused > 75


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_vectors_without_a_direction_are_refused_when_they_are_read(tmp_path: Path, value: float) -> None:
    rows = vectors()
    rows[4] = value
    mapped = EmbeddingShards(written(tmp_path / "e", rows=rows)).mapped(np.arange(len(NAMES)))
    assert len(mapped[:4]) == 4
    with pytest.raises(IntegrityError, match="not finite, or zero"):
        mapped[3:5]


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"data_page_size": 8, "write_batch_size": 3},
        {"use_dictionary": True},
        {"row_group_size": 2},
    ],
)
def test_shards_that_another_program_wrote_again_are_refused_and_never_misread(
    tmp_path: Path, options: dict[str, object]
) -> None:
    folder = written(tmp_path / "e")
    path = folder / "000000000000-000000000003.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, **({"compression": "none", "use_dictionary": False} | options))
    with pytest.raises(InputError, match="is damaged, or another program wrote it"):
        load_embeddings(folder)


def test_foreign_and_cut_files_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "e")
    path = folder / "000000000000-000000000003.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(IntegrityError, match="is damaged, or another program wrote it"):
        load_embeddings(folder)
    pq.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(IntegrityError, match="is damaged, or another program wrote it"):
        load_embeddings(folder)
    other = dataclasses.replace(SPACE, space_id="other")
    path.write_bytes(shard_bytes(vectors()[:3], NAMES[:3], other, dtype="float32"))
    with pytest.raises(IntegrityError, match="does not hold what"):
        load_embeddings(folder)


def sealed(data: bytes) -> bytes:
    """A file of Parquet with the digests of a shard, as anybody can write them."""
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    head = bytes(32)
    return data[:footer] + head + hashlib.sha256(head + data[footer:]).digest() + data[footer:]


@pytest.mark.parametrize(
    ("metadata", "columns"),
    [
        (None, ("name", "embedding")),
        ("[]", ("name", "embedding")),
        ("{}", ("name", "embedding")),
        ("right", ("name",)),
        ("right", ()),
        ("right", ("name", "embedding")),
    ],
)
def test_files_that_were_sealed_by_others_are_refused(
    tmp_path: Path, metadata: str | None, columns: tuple[str, ...]
) -> None:
    folder = written(tmp_path / "e")
    path = folder / "000000000000-000000000003.parquet"
    right = pq.read_schema(path).metadata[b"hetero"]
    table = pa.table({name: ["a", "b", "c"] for name in columns})
    if metadata is not None:
        table = table.replace_schema_metadata({"hetero": right if metadata == "right" else metadata})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    path.write_bytes(sealed(stream.getvalue()))
    with pytest.raises(IntegrityError, match="is damaged|expected the fields"):
        load_embeddings(folder)


def test_names_of_a_sealed_file_are_texts(tmp_path: Path) -> None:
    folder = written(tmp_path / "e")
    path = folder / "000000000000-000000000003.parquet"
    whole, stream = pq.read_table(path), io.BytesIO()
    table = pa.table([pa.array(["a", None, "c"]), whole["embedding"]], ["name", "embedding"])
    pq.write_table(
        table.replace_schema_metadata(whole.schema.metadata),
        stream,
        compression={"name": "zstd", "embedding.list.element": "none"},
        use_dictionary=False,
        write_statistics=["name"],
        write_page_checksum=True,
    )
    path.write_bytes(shard_file._sealed(stream.getvalue()))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(IntegrityError, match="names"):
        load_embeddings(folder).rows_of(["a"])


def test_a_cut_header_of_a_page_is_none() -> None:
    assert shard_file._page_header(b"\x15\x00\x15\x80") == (0, 0)  # pyright: ignore[reportPrivateUsage]


def test_a_record_of_very_many_shards_takes_no_memory(tmp_path: Path) -> None:
    folder = written(tmp_path / "e")
    text = (folder / "embeddings.json").read_text()
    (folder / "embeddings.json").write_text(text.replace('"rows": 7', f'"rows": {10**15}'))
    with pytest.raises(InputError, match="lacks 333333333333332 of 333333333333334 shards"):
        load_embeddings(folder)
