from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hetero.data.embeddings.file import aligned, load_embeddings, require_destination, save_embeddings
from hetero.data.images import ImageSet
from hetero.errors import InputError, IntegrityError
from hetero.space import EmbeddingSpace

SPACE = EmbeddingSpace.define(defined_by="ab", name="cloud", version="1", dimension=3)
NAMES = ("b.jpg", "a.jpg", "ü/ß.jpg")


def vectors(rows: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)


def image_set(*names: str) -> ImageSet:
    zeros = np.zeros(len(names), np.int64)
    return ImageSet(np.zeros((len(names), 2, 2, 3), np.uint8), zeros, ("c",), zeros, ("",), names, "f")


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_embeddings(path, vectors(), NAMES, SPACE)
    read = load_embeddings(path)
    assert np.array_equal(read.embeddings, vectors()) and read.names == NAMES and read.space == SPACE
    assert [file.name for file in tmp_path.iterdir()] == ["e.safetensors"]


def test_rows_follow_the_image_set_and_have_unit_length(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.safetensors", vectors(), NAMES, SPACE)
    rows = aligned(load_embeddings(tmp_path / "e.safetensors"), image_set("ü/ß.jpg", "b.jpg"))
    expected = vectors()[[2, 0]]
    assert rows.dtype == np.float32
    assert np.allclose(rows, expected / np.sqrt((expected**2).sum(1, keepdims=True)), atol=1e-6)
    save_embeddings(tmp_path / "unit.safetensors", rows, NAMES[:2], SPACE)
    again = aligned(load_embeddings(tmp_path / "unit.safetensors"), image_set(*NAMES[:2]))
    assert np.array_equal(again, rows), "unit vectors stay as they are, bit by bit"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npy_with_names_beside_it(tmp_path: Path, dtype: type) -> None:
    np.save(tmp_path / "clip.npy", vectors().astype(dtype))
    (tmp_path / "clip.txt").write_text("\n".join(NAMES), encoding="utf-8")
    read = load_embeddings(tmp_path / "clip.npy")
    assert read.names == NAMES and read.embeddings.dtype == np.float32
    assert (read.space.name, read.space.dimension) == ("clip", 3)
    (tmp_path / "clip.txt").unlink()
    (tmp_path / "clip.csv").write_text("label,path\n" + "\n".join(f"0,{name}" for name in NAMES), encoding="utf-8")
    assert load_embeddings(tmp_path / "clip.npy").names == NAMES


def test_the_space_of_a_plain_file_follows_from_its_content(tmp_path: Path) -> None:
    for name, scale in (("one", 1), ("same", 1), ("other", 2)):
        save_file({"embeddings": vectors() * np.float32(scale)}, tmp_path / f"{name}.safetensors")
        (tmp_path / f"{name}.txt").write_text("\n".join(NAMES), encoding="utf-8")
    one, same, other = (load_embeddings(tmp_path / f"{name}.safetensors").space for name in ("one", "same", "other"))
    assert one.space_id == same.space_id != other.space_id


def test_missing_images_are_named(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.safetensors", vectors(), NAMES, SPACE)
    wanted = [f"{number}.jpg" for number in range(25)]
    with pytest.raises(
        InputError, match="25 of 26 images have no embedding; the file's names look like 'b.jpg'"
    ) as caught:
        aligned(load_embeddings(tmp_path / "e.safetensors"), image_set("a.jpg", *wanted))
    assert caught.value.problems == (*wanted[:10], "... and 15 more")


def test_all_that_is_wrong_with_the_values_comes_together(tmp_path: Path) -> None:
    broken = vectors(4)
    broken[1, 2], broken[3] = np.nan, 0
    with pytest.raises(InputError) as caught:
        save_embeddings(
            tmp_path / "e.safetensors",
            broken,
            ["a", "b", "a"],
            EmbeddingSpace.define(defined_by="ab", name="n", version="1", dimension=8),
        )
    problems = "\n".join(caught.value.problems)
    for part in (
        "4 embeddings but 3 names",
        "names repeat, for instance 'a'",
        "space of 8 dimensions",
        "first is row 1",
        "first is row 3",
    ):
        assert part in problems
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float16", "float64"])
def test_every_floating_point_tensor_is_read(tmp_path: Path, kind: str) -> None:
    import safetensors.torch
    import torch

    tensor = torch.from_numpy(vectors()).to(getattr(torch, kind))
    safetensors.torch.save_file({"embeddings": tensor}, tmp_path / "e.safetensors")
    (tmp_path / "e.txt").write_text("\n".join(NAMES), encoding="utf-8")
    read = load_embeddings(tmp_path / "e.safetensors")
    assert read.embeddings.dtype == np.float32 and np.array_equal(read.embeddings, tensor.float().numpy())
    assert np.allclose(np.linalg.norm(aligned(read, image_set(*NAMES)), axis=1), 1, atol=1e-6)


def test_tensors_of_other_kinds_are_refused(tmp_path: Path) -> None:
    import safetensors.torch
    import torch

    safetensors.torch.save_file({"embeddings": torch.ones(3, 3).int()}, tmp_path / "e.safetensors")
    with pytest.raises(InputError, match=r"expected floating-point embeddings .*BF16.*, got I32 \[3, 3\]"):
        load_embeddings(tmp_path / "e.safetensors")


def test_other_formats_under_the_name_of_an_array_say_what_they_are(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "e.npy"
    (tmp_path / "e.txt").write_text("\n".join(NAMES), encoding="utf-8")
    cases = {
        "what torch.save writes; use numpy.save": lambda: torch.save(torch.ones(3, 3), path),
        r"an archive of arrays \(left, right\), as numpy.savez writes": lambda: _savez(path),
        "a pickle, which is never opened here": lambda: path.write_bytes(b"\x80\x04N."),
        "no .npy array": lambda: path.write_bytes(b""),
    }
    for message, write in cases.items():
        write()
        with pytest.raises(IntegrityError, match=message):
            load_embeddings(path)
    np.save(path, np.zeros((3, 3), "V2"))
    with pytest.raises(InputError, match="cannot say bfloat16; save them as float32"):
        load_embeddings(path)
    np.save(path, vectors())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="not a plain .npy array"):
        load_embeddings(path)


@pytest.mark.parametrize(
    "header", ["{'descr': '<f4'", "{'descr': (), 'fortran_order': False, 'shape': (3, 3)}", "{[]: 0}", "-" * 9000 + "1"]
)
def test_headers_that_numpy_itself_stumbles_over_are_refused(tmp_path: Path, header: str) -> None:
    content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode()
    (tmp_path / "e.npy").write_bytes(content + vectors().tobytes())
    with pytest.raises(IntegrityError, match="not a plain .npy array"):
        load_embeddings(tmp_path / "e.npy")


@pytest.mark.parametrize("byte", [0, 6])
def test_damaged_archives_under_the_name_of_an_array_are_refused(tmp_path: Path, byte: int) -> None:
    _savez(tmp_path / "e.npy")
    content = bytearray((tmp_path / "e.npy").read_bytes())
    directory = content.index(b"PK\1\2")
    content[directory + byte] ^= 0xFF
    (tmp_path / "e.npy").write_bytes(content)
    with pytest.raises(IntegrityError, match="it is a damaged archive"):
        load_embeddings(tmp_path / "e.npy")


def _savez(path: Path) -> None:
    with path.open("wb") as stream:
        np.savez(stream, left=vectors(), right=vectors())


AWKWARD = ("a\u2028b.jpg", "c\x85d.jpg", "e\x1cf.jpg", "g\x0bh.jpg", " i .jpg", "j\r.jpg")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_a_line_feed_ends_a_name(tmp_path: Path, end: str) -> None:
    np.save(tmp_path / "e.npy", vectors(len(AWKWARD)))
    (tmp_path / "e.txt").write_bytes("".join(f"{name}{end}" for name in AWKWARD).encode())
    assert load_embeddings(tmp_path / "e.npy").names == AWKWARD
    (tmp_path / "e.txt").unlink()
    rows = "".join(f'"{name}"{end}' for name in AWKWARD)
    (tmp_path / "e.csv").write_bytes(f"path{end}{rows}".encode())
    assert load_embeddings(tmp_path / "e.npy").names == AWKWARD
    save_embeddings(tmp_path / "e.safetensors", vectors(len(AWKWARD)), AWKWARD, SPACE)
    assert load_embeddings(tmp_path / "e.safetensors").names == AWKWARD


@pytest.mark.parametrize("suffix", ["txt", "csv"])
@pytest.mark.parametrize(("encoding", "guess"), [("latin-1", "ISO-8859-1"), ("utf-16", "UTF-16")])
def test_names_in_another_encoding_name_the_line(tmp_path: Path, suffix: str, encoding: str, guess: str) -> None:
    np.save(tmp_path / "e.npy", vectors())
    (tmp_path / f"e.{suffix}").write_bytes("path\nb.jpg\nüb.jpg".encode(encoding))
    line = 3 if encoding == "latin-1" else 1
    with pytest.raises(InputError, match=rf"e\.{suffix} is not UTF-8: line {line} is .*iconv -f {guess} -t UTF-8"):
        load_embeddings(tmp_path / "e.npy")


def test_names_that_are_empty_or_no_text_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", vectors())
    (tmp_path / "e.csv").write_text("label,path\n0,a.jpg\n0\n0,b.jpg\n")
    with pytest.raises(InputError, match="1 names are empty, the first is row 1"):
        load_embeddings(tmp_path / "e.npy")
    with pytest.raises(InputError, match=r"1 names cannot be written as UTF-8, for instance 'caf\\udce9'"):
        save_embeddings(tmp_path / "e.safetensors", vectors(1), ["caf\udce9"], SPACE)
    save_file({"embeddings": vectors()}, tmp_path / "n.safetensors", metadata={"hetero": '{"names":[null,"a",1]}'})
    with pytest.raises(IntegrityError, match="not a JSON list of texts"):
        load_embeddings(tmp_path / "n.safetensors")


@pytest.mark.parametrize("size", [1e-25, 1e-37, 1e25, 3e37])
def test_short_and_long_rows_become_unit_vectors(tmp_path: Path, size: float) -> None:
    np.save(tmp_path / "e.npy", (vectors() * size).astype(np.float32))
    (tmp_path / "e.txt").write_text("\n".join(NAMES), encoding="utf-8")
    rows = aligned(load_embeddings(tmp_path / "e.npy"), image_set(*NAMES))
    expected = vectors().astype(np.float64)
    assert np.allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(3, 1e-42, np.float32), "so short that float32 cannot hold their direction; the first is row 1"),
        (np.full(3, 1e-300), "so short that float32 cannot hold their direction; the first is row 1"),
        (np.full(3, 1e300), "not finite, the first is row 1"),
        (np.array([1, np.inf, 1], np.float16), "not finite, the first is row 1"),
    ],
)
def test_rows_that_float32_cannot_hold_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    rows = vectors().astype(values.dtype)
    rows[1] = values
    np.save(tmp_path / "e.npy", rows)
    (tmp_path / "e.txt").write_text("\n".join(NAMES), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_embeddings(tmp_path / "e.npy")


def test_names_that_only_look_the_same_are_shown_with_escapes(tmp_path: Path) -> None:
    save_embeddings(tmp_path / "e.safetensors", vectors(), ("cafe\u0301.jpg", "a.jpg", "b.jpg"), SPACE)
    with pytest.raises(InputError) as caught:
        aligned(load_embeddings(tmp_path / "e.safetensors"), image_set("caf\xe9.jpg", "a.jpg"))
    (problem,) = caught.value.problems
    assert problem.startswith(r"'caf\xe9.jpg' (the file has 'cafe\u0301.jpg', which looks the same")


def test_a_destination_that_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.safetensors").mkdir()

    def refused(path: Path, names: tuple[str, ...], *messages: str) -> None:
        with pytest.raises(InputError) as caught:
            require_destination(path, names)
        assert len(caught.value.problems) == len(messages)
        for problem, message in zip(caught.value.problems, messages, strict=True):
            assert message in problem

    refused(tmp_path / "e.npy", ("a", "a"), "names repeat, for instance 'a'", "written to a .safetensors file")
    refused(tmp_path / "folder.safetensors", ("a",), "is a folder")
    refused(tmp_path / "file" / "e.safetensors", ("a",), "nothing can be written to")
    refused(tmp_path / "e.safetensors", ("ü" * 50_000_000,), "the 1 names take 100 MB, more than the 90 MB")
    require_destination(tmp_path / "new" / "folders" / "e.safetensors", NAMES)
    assert not (tmp_path / "new").exists()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def refused(path: Path, message: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=message):
            load_embeddings(path)

    refused(tmp_path / "missing.npy", "found nothing")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused(tmp_path / "objects.npy", "not a plain .npy array", IntegrityError)
    np.save(tmp_path / "unnamed.npy", vectors())
    refused(tmp_path / "unnamed.npy", "write the names, one a line in the rows' order, to unnamed.txt")
    (tmp_path / "unnamed.csv").write_text("file\na\n")
    refused(tmp_path / "unnamed.csv", "expected a .safetensors or a .npy")
    refused(tmp_path / "unnamed.npy", "expected a column 'name' or 'path', got file")
    np.save(tmp_path / "flat.npy", np.zeros(3, np.float32))
    refused(tmp_path / "flat.npy", r"got float32 \[3\]")
    np.save(tmp_path / "whole.npy", np.zeros((3, 3), np.int64))
    refused(tmp_path / "whole.npy", "expected floating-point embeddings")
    save_file({"features": vectors()}, tmp_path / "other.safetensors")
    refused(tmp_path / "other.safetensors", "expected a tensor 'embeddings', found features")
    save_embeddings(tmp_path / "cut.safetensors", vectors(), NAMES, SPACE)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-4])
    refused(tmp_path / "cut.safetensors", "not a whole safetensors file", IntegrityError)
    save_file({"embeddings": vectors()}, tmp_path / "bad.safetensors", metadata={"hetero": "{"})
    refused(tmp_path / "bad.safetensors", "is not valid JSON", IntegrityError)
    save_file(
        {"embeddings": vectors()},
        tmp_path / "space.safetensors",
        metadata={"hetero": '{"names":["a","b","c"],"space":{}}'},
    )
    refused(tmp_path / "space.safetensors", "the space in .* is not valid", IntegrityError)


@pytest.mark.parametrize("rows", [300_000_000_000, 2**62, 2**70])
def test_an_array_that_claims_more_than_its_file_holds_is_refused_before_memory_is_taken(
    tmp_path: Path, rows: int
) -> None:
    path = tmp_path / "a.npy"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 4), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(48))
    path.with_suffix(".txt").write_text("a\nb\nc\n")
    with pytest.raises(IntegrityError, match=r"is not a plain \.npy array") as caught:
        load_embeddings(path)
    assert "allocate" not in str(caught.value), "no memory was asked for"
