"""Write a set of small synthetic images in tar shards, as the package webdataset writes them.

    python -m benchmarks.shards.write /data/million --images 1000000

Each class is a pattern of coloured patches, each image its pattern under noise: JPEG of 32 px with the class beside it.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--a-shard", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--test-share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.folder, options.images, options.a_shard, options.classes, options.test_share, options.seed)


def write(folder: Path, images: int, a_shard: int, classes: int, test_share: float, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    patches = generator.integers(40, 216, (classes, 8, 8, 3), dtype=np.uint8)
    patterns = patches.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2).astype(np.int16)
    shards = -(-images // a_shard)
    tested = round(test_share * shards)
    for shard in range(shards):
        name = f"train-{shard:04}" if shard < shards - tested else f"test-{shard - shards + tested:04}"
        count = min(a_shard, images - shard * a_shard)
        labels = generator.integers(0, classes, count)
        with tarfile.open(folder / f"{name}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for start in range(0, count, 500):
                chunk = labels[start : start + 500]
                noise = generator.integers(-24, 25, (len(chunk), SIDE, SIDE, 3), dtype=np.int8)
                pixels = (patterns[chunk] + noise).clip(0, 255).astype(np.uint8)
                for place, label in enumerate(chunk):
                    key = f"{start + place:06}"
                    _add(archive, f"{key}.jpg", _jpeg(pixels[place]))
                    _add(archive, f"{key}.cls", str(label).encode())


def _jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=80)
    return stream.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
    archive.members.clear()  # else the list of a million members stays in memory


if __name__ == "__main__":
    main()
