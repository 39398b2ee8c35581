"""Hostile files of embeddings, and of the names beside them, read in this process."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.hostile_inputs.changes import change_bytes, change_safetensors
from benchmarks.hostile_inputs.trial import Answer, Attempt
from hetero import load_embeddings
from tests.fuzz import seeds


@contextlib.contextmanager
def embeddings(folder: Path) -> Generator[Attempt]:
    """Files of embeddings, ``.safetensors`` and ``.npy``, and the names beside them."""
    sound = [("e.safetensors", data) for data in seeds.embeddings().values()]
    sound += [("e.npy", data) for data in seeds.npy().values()]
    names = "\n".join(seeds.NAMES).encode()
    # Torch reads what numpy has no type for; to load it takes seconds that are no input's.
    import_module("torch")

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
