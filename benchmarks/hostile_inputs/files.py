"""Hostile files of embeddings, tables and recipes, and pictures: read in this process."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.hostile_inputs.changes import change_bytes, change_safetensors
from benchmarks.hostile_inputs.trial import Answer, Attempt
from hetero.data.csv import read_csv
from hetero.data.decode import decode, picture_size
from hetero.data.embeddings import load_embeddings
from hetero.data.image_file import FORMATS
from hetero.preprocessing import Preprocessing
from hetero.recipe import load_recipe
from hetero.search.space_file import load_space
from tests.fuzz import seeds

_CONTRACT = Preprocessing(height=16, width=16)
_TOML_VALUES = (
    "1e999", "nan", "-inf", "-1", "0", str(2**63), "1" + "0" * 400, "[" * 20_000 + "]" * 20_000, "{a = {b = {c = 1}}}",
    "true", "[]", "{}", "2026-01-01", '""', '"../../../etc/passwd"', '"\\u001b[31m"', '"os:system"', '"x\\u0000y"',
    f'"{"x" * 100_000}"',
)  # fmt: skip
_CELLS = (
    "", "../../../etc/passwd", "/etc/passwd", "a\0.png", "\x1b[31m", "1e999", "nan", "inf", "-1", "9" * 400, "true",
    "2", '"', '""', "a.png\n", "\N{FULLWIDTH COMMA}", "\u202ea.png", "x" * 200_000, "=cmd()", "unlabelled", "test",
    "A.PNG", ".",
)  # fmt: skip


@contextlib.contextmanager
def embeddings(folder: Path) -> Generator[Attempt]:
    """Files of embeddings, ``.safetensors`` and ``.npy``, and the names beside them."""
    sound = [("e.safetensors", data) for data in seeds.embeddings().values()]
    sound += [("e.npy", data) for data in seeds.npy().values()]
    names = "\n".join(seeds.NAMES).encode()
    import torch  # noqa: F401 - numpy has no bfloat16; seconds that are no input's

    def attempt(number: int) -> tuple[Answer, str]:
        chance = random.Random(number)
        file, data = chance.choice(sound)
        kind = chance.randrange(5)
        if kind == 0:  # the names alone
            beside = change_bytes(names, chance)
        elif kind <= 2 and file == "e.safetensors":
            data, beside = change_safetensors(data, chance), names
        elif kind <= 2:
            data, beside = _npy_with(chance), names
        else:
            data, beside = change_bytes(data, chance), names
        if chance.randrange(20) == 0:
            file = chance.choice(("e.safetensors", "e.npy"))
        for old in folder.glob("e.*"):
            old.unlink()
        (folder / file).write_bytes(data)
        (folder / "e.txt").write_bytes(beside)
        read = load_embeddings(folder / file)
        vectors = read.embeddings
        right = (
            vectors.dtype == np.float32
            and vectors.shape == (len(read.names), read.space.dimension)
            and bool(np.isfinite(vectors).all() and (vectors != 0).any(axis=1).all())
            and len(set(read.names)) == len(read.names)
        )
        return ("right", "") if right else ("wrong", f"{vectors.dtype} {vectors.shape} {read.names} {read.space}")

    yield attempt


@contextlib.contextmanager
def tables(folder: Path) -> Generator[Attempt]:
    """CSV tables of images, recipes, and search spaces."""
    seeds.write_pictures(folder)
    csv = list(seeds.csv().values())
    toml: list[tuple[Callable[[Path], Any], bytes]] = [(load_recipe, data) for data in seeds.recipe().values()]
    toml += [(load_space, data) for data in seeds.search_space().values()]

    def attempt(number: int) -> tuple[Answer, str]:
        chance = random.Random(number)
        if chance.randrange(2):
            path = folder / "t.csv"
            content = chance.choice(csv)
            path.write_bytes(chance.choice((change_bytes, _other_cell))(content, chance))
            entries = read_csv(path).entries
            right = (
                all(one.path.is_file() and one.split for one in entries)
                and len({one.name for one in entries}) == len(entries)
                and all(
                    0 <= a < c < np.inf and 0 <= b < d < np.inf
                    for a, b, c, d in filter(None, (one.box for one in entries))
                )
            )
            return ("right", "") if right else ("wrong", str(entries))
        read, content = chance.choice(toml)
        path = folder / "r.toml"
        path.write_bytes(chance.choice((change_bytes, _other_value, _other_value))(content, chance))
        value = read(path)
        numbers = list(map(float, re.findall(r"(?<![\w.])-?(?:inf|nan)(?![\w.])", repr(value))))
        return ("wrong", f"{numbers} in {value!r}") if numbers else ("right", "")

    yield attempt


@contextlib.contextmanager
def pictures(folder: Path) -> Generator[Attempt]:
    """Pictures of every format, damaged, oversized, or something else under their name."""
    sound = list(seeds.pictures().values())
    other, large = _other_formats(), [_png(side, bytes(side * (side + 1))) for side in (64, 8000)]

    def attempt(number: int) -> tuple[Answer, str]:
        chance = random.Random(number)
        kind = chance.randrange(20)
        path = folder / f"p{chance.choice(('.jpg', '.png', '.gif', '.tif', '.webp', '.bmp'))}"
        path.unlink(missing_ok=True)
        if kind == 0:
            path.write_bytes(_bomb(chance))
        elif kind == 3:
            path.write_bytes(chance.choice(large))
        elif kind == 1:
            path.write_bytes(chance.choice(list(other.values())))
        elif kind == 2:
            path.symlink_to(chance.choice(("/dev/zero", "/dev/tty", str(folder), path.name)))
        else:
            path.write_bytes(change_bytes(chance.choice(sound), chance))
        picture_size(path)
        made = decode(path, _CONTRACT)
        if kind <= 2:
            return "wrong", f"took {path.read_bytes()[:40]!r}"
        right = made.dtype == np.uint8 and made.shape == (16, 16, 3)
        return ("right", "") if right else ("wrong", f"{made.dtype} {made.shape}")

    yield attempt
    shutil.rmtree(folder, ignore_errors=True)


def _npy_with(chance: random.Random) -> bytes:
    """An array whose header, a Python literal, is somebody's."""
    descr = chance.choice(
        (
            "'<f4'",
            "'|O'",
            "()",
            "[('a', '<f4')]",
            "('<f4', (3, 4))",
            "'<f4', 'x': 1",
            "1",
            "'>f8'",
            "'<c8'",
            "'S1000000000'",
        )
    )
    shape = chance.choice(
        ("(3, 4)", "(4611686018427387904, 4)", "(-3, -4)", "(3.0, 4)", "(True, 4)", "()", "(12,)", "(0, 4)", "(3, 0)",
         "1" + "0" * 400, "(" * 5000, "[3, 4]", "(3, 4", "(1, 1, 3, 4)")
    )  # fmt: skip
    order = chance.choice(("False", "True", "None", "1"))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    version = chance.choice((1, 2, 3, 4))
    size = struct.pack("<H" if version == 1 else "<I", len(header) % (1 << 16))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + np.ones((3, 4), np.float32).tobytes()


def _other_cell(content: bytes, chance: random.Random) -> bytes:
    lines = [line.split(",") for line in content.decode().splitlines()]
    row = chance.choice(lines)
    kind = chance.randrange(4)
    if kind <= 1:
        row[chance.randrange(len(row))] = chance.choice(_CELLS)
    elif kind == 2:
        lines.append(list(row))
    else:
        row.append(chance.choice(_CELLS))
    return "\n".join(",".join(line) for line in lines).encode("utf-8", "surrogatepass")


def _other_value(content: bytes, chance: random.Random) -> bytes:
    lines = content.decode().splitlines()
    places = [place for place, line in enumerate(lines) if " = " in line]
    place = chance.choice(places)
    key = lines[place].partition(" = ")[0]
    kind = chance.randrange(5)
    if kind <= 2:
        lines[place] = f"{key} = {chance.choice(_TOML_VALUES)}"
    elif kind == 3:
        lines.insert(place, chance.choice((lines[place], f"{key}x = 1", f"[{key}]", f"[[{key}]]", f"{key}.a.b = 1")))
    else:
        other = chance.choice(places)
        lines[place] = f"{key} = {lines[other].partition(' = ')[2]}"
    return "\n".join(lines).encode()


def _bomb(chance: random.Random) -> bytes:
    """A small PNG or GIF file of more pixels than any machine decodes."""
    side = chance.choice((1 << 14, 1 << 16, 1 << 20, (1 << 31) - 1))
    if chance.randrange(2):
        return (
            b"GIF89a"
            + struct.pack("<HH", 65535, 65535)
            + b"\xf0\0\0"
            + b"\0\0\0\xff\xff\xff"
            + b","
            + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
            + b"\x02\x02\x4c\x01\0;"
        )
    return _png(side, bytes(1 << 20))


def _png(side: int, rows: bytes) -> bytes:
    header = _png_part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _png_part(b"IDAT", zlib.compress(rows)) + _png_part(b"IEND", b"")


def _png_part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _other_formats() -> Mapping[str, bytes]:
    """What image libraries know and no photo is, and what is no picture."""
    import io

    made: dict[str, bytes] = {
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/tmp/x) (w) file\n",
        "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "zip": b"PK\x05\x06" + bytes(18),
        "pickle": b"\x80\x04N.",
        "ELF": b"\x7fELF" + bytes(60),
        "nothing": b"",
    }
    for kind in ("ICO", "PCX", "TGA", "SGI", "PDF", "EPS", "DDS", "IM", "MSP", "XBM"):
        if kind in FORMATS:
            continue
        stream = io.BytesIO()
        with contextlib.suppress(OSError, KeyError, ValueError):
            Image.new("1" if kind in ("MSP", "XBM") else "RGB", (16, 16)).save(stream, kind)
            made[kind] = stream.getvalue()
    return made
