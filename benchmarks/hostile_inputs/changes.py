"""Changes at random of sound content: of bytes, of JSON by its structure, and of safetensors files by their header."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any, cast

Change = Callable[[bytes, random.Random], bytes]

_RAW = "raw text stands here"
# Several of these are no JSON, or none that should be read.
_RAW_VALUES = (
    "1e999",
    "-1e999",
    "NaN",
    "-Infinity",
    "1" + "0" * 400,
    str(2**63),
    "-1",
    "0",
    "0.1e-400",
    "[" * 20_000 + "]" * 20_000,
    '{"a":' * 500 + "1" + "}" * 500,
    '{"a": 1, "a": 2}',
    '"\\ud800"',
    '"\\u0000"',
    "true",
    "null",
    "[]",
    "{}",
    '""',
    "",
)
_TEXTS = (
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "\x1b[32mPASS\x1b[0m",
    "\u202egnp.exe",
    "<img src=x onerror=alert(1)>",
    "![x](http://127.0.0.1/x.png)",
    "a\nb",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/x",
    "e\u0301",
    "x" * 100_000,
    "CON",
    "name\u200bwithout",
    "%s%n",
    "{0.__class__}",
    "os:system",
)


def flip(content: bytes, chance: random.Random) -> bytes:
    """Another bit."""
    made = bytearray(content or b"x")
    made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    return bytes(made)


def flip_many(content: bytes, chance: random.Random) -> bytes:
    """Up to sixteen other bytes."""
    made = bytearray(content or b"x")
    for _ in range(chance.randint(2, 16)):
        made[chance.randrange(len(made))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(made)


def cut(content: bytes, chance: random.Random) -> bytes:
    """The beginning alone."""
    return content[: chance.randrange(len(content))] if content else b""


def take_out(content: bytes, chance: random.Random) -> bytes:
    """Without a piece."""
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.randint(1, 40) :]


def repeat(content: bytes, chance: random.Random) -> bytes:
    """A piece twice."""
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at : at + chance.randint(1, 200)] + content[at:]


def put_in(content: bytes, chance: random.Random) -> bytes:
    """Other bytes in between."""
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.randbytes(chance.randint(1, 40)) + content[at:]


def huge_integer(content: bytes, chance: random.Random) -> bytes:
    """Four or eight bytes that mean much, wherever they stand."""
    value = chance.choice((4 << 30, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1))
    size = 4 if value < 2**32 else 8
    at = chance.randrange(max(1, len(content) - size))
    return content[:at] + value.to_bytes(size, chance.choice(("little", "big"))) + content[at + size :]


def other_digits(content: bytes, chance: random.Random) -> bytes:
    """Another number where one is written out."""
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if not places:
        return flip(content, chance)
    at = chance.choice(places)
    number = chance.choice((str(chance.randrange(10**10)), "-1", "9" * 30, "1e999", "0"))
    return content[:at] + number.encode() + content[at + 1 :]


CHANGES: tuple[Change, ...] = (flip, flip_many, cut, take_out, repeat, put_in, huge_integer, other_digits)


def change_bytes(content: bytes, chance: random.Random) -> bytes:
    """One of :data:`CHANGES`."""
    return chance.choice(CHANGES)(content, chance)


def change_json(content: bytes, chance: random.Random) -> bytes:
    """JSON that differs in one place: a value, a key, or the order of two values."""
    value = json.loads(content)
    parents = [inner for inner in _inside(value) if inner]
    if not parents:
        return change_bytes(content, chance)
    parent = chance.choice(parents)
    keys: list[Any] = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    key, raw = chance.choice(keys), ""
    kind = chance.randrange(6)
    if kind <= 1:
        parent[key], raw = _RAW, chance.choice(_RAW_VALUES)
    elif kind == 2:
        parent[key] = chance.choice(_TEXTS)
    elif kind == 3:
        del parent[key]
    elif kind == 4:
        other = chance.choice(keys)
        parent[key], parent[other] = parent[other], parent[key]
    elif isinstance(parent, dict):
        cast("dict[str, Any]", parent)[chance.choice((*_TEXTS, "more"))] = copy.deepcopy(parent[key])
    else:
        parent.append(copy.deepcopy(parent[key]))
    return json.dumps(value).replace(f'"{_RAW}"', raw).encode("utf-8", "surrogatepass")


def change_safetensors(content: bytes, chance: random.Random) -> bytes:
    """A safetensors file that differs in its header, or in its numbers."""
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    kind = chance.randrange(4)
    if kind <= 1:
        header = change_json(header, chance)
    elif kind == 2 and len(data) >= 4:
        at = 4 * chance.randrange(len(data) // 4)
        value = chance.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0", chance.randbytes(4)))
        data = data[:at] + value + data[at + 4 :]
    else:
        data = change_bytes(data, chance)
    return len(header).to_bytes(8, "little") + header + data


def _inside(value: Any) -> list[Any]:
    """All lists and objects of a JSON value."""
    if not isinstance(value, dict | list):
        return []
    held = list(value.values()) if isinstance(value, dict) else value
    return [value, *(inner for one in held for inner in _inside(one))]
