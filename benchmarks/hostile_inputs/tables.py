"""Hostile tables of images, recipes and search spaces, read in this process."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile_inputs.changes import change_bytes
from benchmarks.hostile_inputs.trial import Answer, Attempt
from hetero import load_recipe
from hetero.data.sources.csv import read_csv
from hetero.data.sources.listing import ListedImage
from hetero.nas import load_space
from tests.fuzz import seeds

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
            right = all(map(_sound, entries)) and len({one.name for one in entries}) == len(entries)
            return ("right", "") if right else ("wrong", str(entries))
        read, content = chance.choice(toml)
        path = folder / "r.toml"
        path.write_bytes(chance.choice((change_bytes, _other_value, _other_value))(content, chance))
        value = read(path)
        endless = re.search(r"(?<![\w.'\"])-?(?:inf|nan)(?![\w.'\"])", repr(value))
        return ("wrong", f"{endless[0]} in {value!r}") if endless else ("right", "")

    yield attempt


def _sound(entry: ListedImage) -> bool:
    left, top, right, bottom = entry.box or (0, 0, 1, 1)
    boxed = 0 <= left < right < np.inf and 0 <= top < bottom < np.inf
    return boxed and entry.path.is_file() and bool(entry.split)


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
