"""Hostile pictures: damaged, oversized, or something else under their name, decoded in this process."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import zlib
from collections.abc import Generator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hostile_inputs.changes import change_bytes
from benchmarks.hostile_inputs.trial import Answer, Attempt
from hetero import Preprocessing
from hetero.data.decoding.decode import decode, picture_size
from hetero.data.decoding.image_file import FORMATS
from tests.fuzz import seeds

_CONTRACT = Preprocessing(height=16, width=16)


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
        elif kind == 1:
            path.write_bytes(chance.choice(list(other.values())))
        elif kind == 2:
            path.symlink_to(chance.choice(("/dev/zero", "/dev/tty", str(folder), path.name)))
        elif kind == 3:
            path.write_bytes(chance.choice(large))
        else:
            path.write_bytes(change_bytes(chance.choice(sound), chance))
        picture_size(path)
        made = decode(path, _CONTRACT)
        if kind <= 2:
            return "wrong", f"took {path.read_bytes()[:40]!r}"
        right = made.dtype == np.uint8 and made.shape == (16, 16, 3)
        return ("right", "") if right else ("wrong", f"{made.dtype} {made.shape}")

    yield attempt


def _bomb(chance: random.Random) -> bytes:
    """A small PNG or GIF file of more pixels than is decoded."""
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
