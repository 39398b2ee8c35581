"""Pictures, contracts and an application's folder, for the code in every language."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import hetero
from export.app.contract import AppContract, contract_of
from export.bundle.reading import Bundle, read_bundle
from hetero.preprocessing import Preprocessing
from tests.device_tests.tiny_bundle import SPACE, drawn, write_bundle

SIZES = ((37, 23), (23, 37), (1, 1), (1, 50), (64, 2), (8, 8), (130, 97))
"""Widths and heights of pictures: of both shapes, of one pixel, much larger and much smaller than the model's input."""


def contracts() -> list[Preprocessing]:
    """Every way of resizing and filter, square and not, shrinking and enlarging."""
    kinds = itertools.product(("squash", "pad", "crop"), ("bilinear", "bicubic"), ((8, 8), (9, 14), (40, 33)))
    return [Preprocessing(*shape, resize=resize, filter=filter, pad_value=77) for resize, filter, shape in kinds]  # type: ignore[arg-type]


def rgba(width: int, height: int) -> NDArray[np.uint8]:
    """An opaque picture of noise: uint8 [h, w, 4]."""
    picture = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 4), np.uint8)
    picture[..., 3] = 255
    return picture


def png_files(folder: Path) -> dict[str, Path]:
    """A PNG file of every kind that the code reads by itself, with rows of every filter."""
    noise = np.random.default_rng(5).integers(0, 256, (19, 26, 4), np.uint8)
    smooth = (np.add.outer(np.arange(19), np.arange(26))[..., None] * [3, 5, 2, 7] % 256).astype(np.uint8)
    deep = np.random.default_rng(6).integers(0, 65536, (19, 26)).astype(np.uint16)
    made: dict[str, Path] = {}
    for name, picture in (("noise", noise), ("smooth", smooth)):
        opaque = Image.fromarray(picture[..., :3].copy())
        kinds = {
            "rgb": opaque,
            "rgba": Image.fromarray(picture),
            "grey": opaque.convert("L"),
            "grey with alpha": Image.fromarray(picture).convert("LA"),
            "palette": opaque.quantize(64),
            "palette of 16": opaque.quantize(13),
            "black and white": opaque.convert("1"),
        }
        for kind, image in kinds.items():
            made[f"{kind}, {name}"] = folder / f"{kind} {name}.png"
            image.save(made[f"{kind}, {name}"])
    extra: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "deep grey": (Image.fromarray(deep), {}),
        "palette with a hidden colour": (Image.fromarray(noise[..., :3].copy()).quantize(16), {"transparency": 3}),
        "grey with a hidden level": (Image.fromarray(noise[..., 0] // 64), {"transparency": 2}),
        "rgb with a hidden colour": (Image.fromarray(noise[..., :3] // 128), {"transparency": (1, 0, 1)}),
    }
    for kind, (image, options) in extra.items():
        made[kind] = folder / f"{kind}.png"
        image.save(made[kind], **options)
    return made


def lay_out_application(folder: Path, format: str) -> tuple[AppContract, Bundle]:
    """An application's folder: the tiny bundle's model with its contract, a self-test, queries and two galleries."""
    bundle = read_bundle(write_bundle(folder / "bundle", formats=(format,)))
    model = bundle.manifest.models[0]
    contract = contract_of(bundle, model)
    (folder / contract.model).write_bytes(bundle.file(model).read_bytes())
    goldens, pictures = bundle.goldens, drawn()
    for row, case in enumerate(contract.self_test):
        (folder / case.image).parent.mkdir(exist_ok=True)
        Image.fromarray(pictures[row]).save(folder / case.image)
        (folder / case.vector).write_bytes(goldens.retrieval_student[row].astype("<f4").tobytes())
    (folder / "queries").mkdir()
    for row in goldens.tasks[0].query:
        Image.fromarray(pictures[row]).save(folder / "queries" / f"{row:03d}.png")
    rows = goldens.tasks[0].gallery
    names = [f"item {row}" for row in rows]
    vectors = goldens.retrieval_cloud[rows]
    hetero.save_embeddings(folder / "gallery.safetensors", vectors, names, SPACE)
    other = hetero.EmbeddingSpace.define(defined_by="f" * 64, name="other", version="1", dimension=vectors.shape[1])
    hetero.save_embeddings(folder / "other.safetensors", vectors, names, other)
    (folder / "contract.json").write_text(json.dumps(contract.to_dict()))
    return contract, bundle


def expected_top(bundle: Bundle, embeddings: NDArray[np.float32], count: int = 10) -> list[list[str]]:
    """The names that an exact search with these queries finds, best first."""
    rows = bundle.goldens.tasks[0].gallery
    scores = embeddings.astype(np.float64) @ bundle.goldens.retrieval_cloud[rows].astype(np.float64).T
    return [[f"item {rows[at]}" for at in np.argsort(-row, kind="stable")[:count]] for row in scores]


def contract_with(contract: AppContract, preprocessing: Preprocessing) -> str:
    """The text of ``contract.json`` with another preprocessing."""
    return json.dumps(replace(contract, preprocessing=preprocessing).to_dict())
