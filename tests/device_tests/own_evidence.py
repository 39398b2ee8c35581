"""A gallery of the tiny bundle's cloud, and photos that neither came with the bundle nor look like its goldens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hetero.data.decoding.decode import resized
from hetero.data.embeddings.file import save_embeddings
from tests.device_tests.tiny_bundle import CLASSES, PREPROCESSING, SPACE, drawn, goldens, list_files, write_bundle
from tests.device_tests.tiny_models import embed, weights

NOISE = 40
CLOUD = weights() + np.float32(0.05) * weights(1)
"""The cloud that the tiny bundle's student follows."""


def views(seed: int, noise: int = NOISE) -> NDArray[np.uint8]:
    """One noisy view of each of the bundle's classes: uint8 [CLASSES, 13, 11, 3]."""
    plain = drawn(noise=0)[:CLASSES].astype(np.int64)
    noisy = plain + np.random.default_rng(seed).integers(-noise, noise + 1, plain.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def pixels(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the contract makes of them."""
    return np.stack([resized(Image.fromarray(picture), PREPROCESSING) for picture in pictures])


def write_photos(folder: Path, *, seeds: tuple[int, ...] = (11, 12), labelled: bool = True) -> Path:
    """PNG files of views of every class, in a folder of each class or all in one."""
    for seed in seeds:
        for label, picture in enumerate(views(seed)):
            place = folder / f"class{label:02}" / f"{seed}.png" if labelled else folder / f"{label:02}-{seed}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place)
    return folder


def write_gallery(path: Path, *, of_photos: Path | None = None) -> Path:
    """The cloud's vectors of one view of each class, and of photos under their names."""
    pictures = [*views(10)]
    names = [f"catalogue/class{label:02}/a.png" for label in range(CLASSES)]
    for photo in sorted(of_photos.rglob("*.png")) if of_photos else []:
        pictures.append(np.asarray(Image.open(photo)))
        names.append(photo.relative_to(of_photos).as_posix() if of_photos else "")
    save_embeddings(path, embed(pixels(np.stack(pictures)), CLOUD), names, SPACE)
    return path


def write_liar(path: Path) -> Path:
    """A bundle that agrees with itself in all it carries, and whose model is not of the space that it names."""
    write_bundle(path, name="liar", formats=("onnx", "litert"), model_seed=3, with_originals=False)
    goldens(3, noise=20).save(path / "goldens.safetensors")
    list_files(path, "liar")
    return path
