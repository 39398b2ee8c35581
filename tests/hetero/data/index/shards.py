"""Small shards for tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from hetero.data.config import DataConfig
from hetero.data.images import Dataset
from hetero.data.prepare import prepare
from hetero.preprocessing import Preprocessing

SMALL = Preprocessing(8, 8)


def picture(seed: int, kind: str = "png", size: tuple[int, int] = (12, 9)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def tar_of(members: Mapping[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def samples(classes: Mapping[str, int], start: int = 0) -> dict[str, bytes]:
    """Members of a shard with this many images of each class."""
    members: dict[str, bytes] = {}
    for label, count in classes.items():
        for _ in range(count):
            number = start + len(members) // 2
            members[f"{number:04}.png"] = picture(number)
            members[f"{number:04}.cls"] = label.encode()
    return members


def write_shards(folder: Path) -> Path:
    """Two training shards and one of test images, of three classes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("train-0", "train-1", "test-0")):
        (folder / f"{name}.tar").write_bytes(tar_of(samples({"a": 4, "b": 4, "c": 4}, 100 * number)))
    return folder


def prepared(path: Path | str, cache: Path, kind: str = "webdataset", **options: object) -> Dataset:
    return prepare(DataConfig(kind=kind, path=str(path), **options), SMALL, cache=cache)  # pyright: ignore[reportArgumentType]
