from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable

import pytest

from hetero.data.index.file_images import FileImages
from hetero.data.index.tar import tar_rows
from tests.hetero.data.index.shards import picture, samples, tar_of


def rows_in(data: bytes, **options: object) -> FileImages:
    return tar_rows(io.BytesIO(data), "s", **{"label": "label", "with_contents": True, **options})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_images_are_found_at_their_bytes(form: int) -> None:
    long = "x" * 120 + "/0003"
    members = {
        "0001.jpg": picture(1, "jpeg"),
        "0001.cls": b"7\n",
        "0002.json": json.dumps({"label": "cat", "split": "val"}).encode(),
        "0002.png": picture(2),
        **({} if form == tarfile.USTAR_FORMAT else {f"{long}.webp": picture(3, "webp"), f"{long}.txt": b"a dog"}),
        "0004.PNG": picture(4),
    }
    data = tar_of(members, form)
    rows = rows_in(data)
    images = {name: content for name, content in members.items() if name[-3:].lower() in ("jpg", "png", "ebp")}
    assert rows.names == [f"s/{name}".replace("PNG", "png") for name in images]
    assert [data[start : start + size] for start, size in zip(rows.offsets, rows.lengths, strict=True)] == [
        *images.values()
    ]
    assert rows.contents == [hashlib.sha256(image).digest() for image in images.values()]
    expected = ["7", "cat", *(["a dog"] if len(images) == 4 else []), ""]
    assert rows.labels == expected and rows.splits[:2] == ["", "validation"] and not rows.problems


def test_what_cannot_be_an_image_of_the_set_is_counted() -> None:
    members = {
        "a/0001.png": picture(1),
        "a/0001.jpg": picture(1),
        "a/._0001.png": b"fork",
        "../0002.png": picture(2),
        "/0003.png": picture(3),
        "0004.seg.png": picture(4),
        "LICENSE": b"",
        "a/0001.cls": b"late",
    }
    stream = io.BytesIO(tar_of(members))
    with tarfile.open(fileobj=stream, mode="a") as archive:
        link = tarfile.TarInfo("0005.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    rows = rows_in(stream.getvalue())
    assert rows.names == ["s/a/0001.png"] and not rows.problems
    assert rows.passed_over.counts == {
        "a second image of a sample": 1,
        "hidden": 1,
        "a path that leads out of the archive": 2,
        "not an image by its extension": 2,
        "no plain file": 1,
    }


def test_equal_names_get_numbers() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("1.png", "2.png", "1.png"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    assert rows_in(stream.getvalue()).names == ["s/1.png", "s/2.png", "s/1.png@2"]


def _claiming(size: bytes) -> Callable[[bytes], bytes]:
    """Let the second header state another size, with a right checksum."""

    def change(data: bytes) -> bytes:
        header = bytearray(data[:512])
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + data[512:]

    return change


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: data[:512] + data[512:][:300], "cut off"),
        (lambda data: data[: -tarfile.RECORDSIZE] if len(data) > tarfile.RECORDSIZE else data[:1024], "cut off"),
        (lambda data: data[:2048] + b"x" * 512 + data[2560:], "damaged header"),
        (lambda data: b"not a tar archive" * 100, "not a whole tar archive"),
        (lambda data: b"", "not a whole tar archive"),
        (gzip.compress, "compressed"),
        (_claiming(b"77777777777\0"), "cut off"),
        (_claiming(b"\xff" * 12), "backwards|archive"),
        (_claiming(b"\x80" + b"\x7f" * 11), "archive|cut off"),
    ],
)
def test_damage_is_one_clear_problem(damage: Callable[[bytes], bytes], reason: str) -> None:
    rows = rows_in(damage(tar_of(samples({"a": 6}))))
    assert len(rows.problems) == 1
    assert re.search(reason, rows.problems[0]), rows.problems


def test_a_header_cannot_claim_all_memory() -> None:
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, 1 << 40
    rows = rows_in(extended.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "more than the limit" in rows.problems[0]


def test_headers_that_lead_on_without_end_are_refused() -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 3
    one = header.tobuf(tarfile.GNU_FORMAT) + b"abc".ljust(512, b"\0")
    rows = rows_in(one * 3000 + tar_of({"1.png": b""}))
    assert len(rows.problems) == 1 and "not a whole tar archive" in rows.problems[0]


def test_records_that_are_wrong_are_named() -> None:
    members = {
        "1.json": b"{",
        "1.png": picture(1),
        "2.json": b'{"split": "later"}',
        "2.png": picture(2),
        "3.cls": b"\xff",
    }
    rows = rows_in(tar_of({**members, "3.png": picture(3), "4.cls": bytes(2 << 20), "4.png": picture(4)}))
    assert len(rows.problems) == 3
    for problem, words in zip(rows.problems, ("1.json is not valid JSON", "split must be", "4.cls takes"), strict=True):
        assert words in problem
    assert rows.labels[2] == "\\xff"


def test_image_bytes_need_not_be_read() -> None:
    data = tar_of(samples({"a": 2}))
    rows = rows_in(data, with_contents=False)
    assert rows.contents == [b"", b""] and rows.offsets == rows_in(data).offsets
