"""Images a second into a training loop: JPEG of 500 x 375 at 224 px, from shards, files and the cache.

    python -m benchmarks.shards.loaders --images 600 --rounds 3

Every loader delivers the same batches of float32 pixels between 0 and 1. The rounds of all loaders take turns, and what
counts is processor time, of worker processes too, since it depends little on whatever else the machine does.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.machine import where_and_when
from hetero import DataConfig, Preprocessing, prepare
from hetero.data.loader import batches

PHOTO, SIDE, BATCH = (500, 375), 224, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quality", type=int, default=90)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["HETERO_PROGRESS"] = "quiet"
    with tempfile.TemporaryDirectory() as place:
        size = write(Path(place), options.images, options.quality, options.seed)
        loaders: dict[str, Callable[[int], Iterator[torch.Tensor]]] = {
            "hetero, decoded at every read": hetero_loader(Path(place), 0.0),
            "hetero, from the cache": hetero_loader(Path(place), 4.0),
            "webdataset, Pillow": webdataset_loader(Path(place)),
            "torch DataLoader, two workers": torch_loader(Path(place)),
        }
        rates: dict[str, list[dict[str, float]]] = {name: [] for name in loaders}
        for turn in range(-1, options.rounds):  # the first warms up, and fills the cache
            for name, loader in loaders.items():
                rate = measured(loader(turn + 1))
                if turn >= 0:
                    rates[name].append(rate)
    figures: dict[str, Any] = {
        name: {key: round(median(rate[key] for rate in all_rates), 1) for key in all_rates[0]}
        | {"rounds": [round(rate["images a CPU second"], 1) for rate in all_rates]}
        for name, all_rates in rates.items()
    }
    about = {"images": options.images, "kilobytes": round(size / 1e3, 1), "seed": options.seed}
    print(json.dumps({**figures, **about, **where_and_when()}, indent=2))


def write(place: Path, images: int, quality: int, seed: int) -> float:
    """Write the same images as shards and as files of ten classes; return the mean size of one in bytes."""
    generator = np.random.default_rng(seed)
    (place / "shards").mkdir()
    sizes: list[int] = []
    with ExitStack() as stack:
        shards = [
            stack.enter_context(tarfile.open(place / "shards" / f"{name}.tar", "w"))
            for name in ("train-0", "train-1", "val-0", "test-0")
        ]
        for number in range(images + 200):
            data, label = photo(generator, quality), str(number % 10).encode()
            sizes.append(len(data))
            if number < images:
                (place / "files" / label.decode()).mkdir(parents=True, exist_ok=True)
                (place / "files" / label.decode() / f"{number:05}.jpg").write_bytes(data)
            shard = shards[number % 2 if number < images else 2 + number % 2]
            for suffix, content in (("jpg", data), ("cls", label)):
                member = tarfile.TarInfo(f"{number:05}.{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    return float(np.mean(sizes))


def photo(generator: np.random.Generator, quality: int) -> bytes:
    """Large shapes, edges and fine grain, as photos have them."""
    coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    edges = Image.fromarray(generator.integers(0, 2, (25, 33), dtype=np.uint8) * 60)
    pixels = np.asarray(coarse.resize(PHOTO, Image.Resampling.BICUBIC), np.float32) * 0.7
    pixels += np.asarray(edges.resize(PHOTO, Image.Resampling.NEAREST), np.float32)[..., None]
    pixels += generator.normal(0, 6, (PHOTO[1], PHOTO[0], 1))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "jpeg", quality=quality)
    return stream.getvalue()


def measured(loader: Iterator[torch.Tensor]) -> dict[str, float]:
    """Images a second over one pass, from the call to the last batch."""
    wall, before = time.perf_counter(), os.times()
    images = sum(len(batch) for batch in loader)
    after, wall = os.times(), time.perf_counter() - wall
    cpu = sum(after[:4]) - sum(before[:4])
    return {"images a CPU second": images / cpu, "images a second": images / wall}


def as_pixels(batch: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float().div_(255)


def hetero_loader(place: Path, limit: float) -> Callable[[int], Iterator[torch.Tensor]]:
    config = DataConfig(kind="webdataset", path=str(place / "shards"), decoded_limit_gb=limit)
    preprocessing = Preprocessing(SIDE, SIDE, resize="squash")
    train = prepare(config, preprocessing, cache=place / "cache").train

    def loader(turn: int) -> Iterator[torch.Tensor]:
        order = np.random.default_rng(turn).permutation(len(train))
        rows = (order[start : start + BATCH] for start in range(0, len(order), BATCH))
        return map(as_pixels, batches(train.images, rows))

    return loader


def webdataset_loader(place: Path) -> Callable[[int], Iterator[torch.Tensor]]:
    import webdataset

    def pixels(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    def loader(turn: int) -> Iterator[torch.Tensor]:
        data = (
            webdataset.WebDataset(str(place / "shards" / "train-{0..1}.tar"), shardshuffle=2, seed=turn)
            .shuffle(200)
            .to_tuple("jpg", "cls")
            .map_tuple(pixels, int)
            .batched(BATCH)
        )
        return (as_pixels(np.stack(images)) for images, _ in data)

    return loader


class Files(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """A data set of files as a user writes it."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.rglob("*.jpg"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path = self.files[index]
        image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return pixels, int(path.parent.name)


def torch_loader(place: Path) -> Callable[[int], Iterator[torch.Tensor]]:
    files = Files(place / "files")
    data = torch.utils.data.DataLoader(files, BATCH, shuffle=True, num_workers=2, persistent_workers=False)
    return lambda turn: (pixels for pixels, _ in data)


if __name__ == "__main__":
    main()
