"""Twelve networks by name: their own preparation, the vectors of their library's own call, and their space."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import hetero
from hetero.data.decoding.decode import decode
from hetero.models.weights import weights_digest
from hetero.pipeline.draft import parse_recipe
from hetero.pipeline.external_cloud import cloud_embedder

if missing := [name for name in ("timm", "open_clip", "ftfy", "transformers") if find_spec(name) is None]:
    pytest.skip(f"needs {', '.join(missing)}", allow_module_level=True)

from tests.hetero.models.published import networks

pytestmark = pytest.mark.slow
LARGE = "vit_small_patch14_reg4_dinov2"
"""At its own 518 pixels a few images take a minute."""
SMALL = {"height": 56, "width": 56, "resize": "crop", "filter": "bicubic", "cut_from": 64}
TWELVE: dict[str, Callable[[Path], networks.Published]] = {
    **{f"timm {name}": partial(networks.of_timm, name) for name in networks.TIMM},
    f"timm {LARGE}": partial(networks.of_timm, LARGE, side=SMALL["height"]),
    **{f"open_clip {name}": partial(networks.of_open_clip, name) for name in networks.OPEN_CLIP},
    **{f"hf {name}": partial(networks.of_transformers, name) for name in ("clip", "dinov2")},
}


@pytest.mark.parametrize("which", TWELVE)
def test_a_network_by_name_is_its_librarys(which: str, goldens: list[Path], tmp_path: Path, across_first: None) -> None:
    published = TWELVE[which](tmp_path)
    stated = hetero.Preprocessing(**SMALL) if LARGE in which else None
    embedder = hetero.backbone_embedder(published.name, stated, weights=published.weights)
    takes = embedder.preprocessing
    if stated is None:
        _expect_its_preparation(published, takes, goldens)

    images = np.stack([decode(file, takes) for file in goldens[:3]])
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (embedder.preprocessing.mean, embedder.preprocessing.std)
    )
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        expected = published.call(pixels).numpy()
    vectors = embedder.embed(images)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-5 * largest)
    assert np.ptp(expected, axis=0).max() > 1e-3 * largest, "it tells images apart"
    assert embedder.output == published.output  # type: ignore[attr-defined]

    space = embedder.space
    assert (space.dimension, space.unit_norm) == (expected.shape[1], True)
    assert space.preprocessing == takes.digest
    by_hand = hetero.EmbeddingSpace.define(
        defined_by=weights_digest(embedder.module), name="x", version="1", dimension=space.dimension
    )
    assert space.space_id == by_hand.space_id
    assert cloud_embedder(_recipe(published, stated)).space.space_id == space.space_id


def _expect_its_preparation(published: networks.Published, takes: hetero.Preprocessing, goldens: list[Path]) -> None:
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (takes.mean, takes.std))
    for file in goldens:
        with Image.open(file) as picture:
            expected = published.transform(picture.convert("RGB")).numpy()
        pixels = (decode(file, takes).transpose(2, 0, 1).astype(np.float32) / np.float32(255) - mean) / std
        np.testing.assert_allclose(pixels, expected, atol=2e-6, err_msg=f"{file.name}: {takes.in_words}")


def _recipe(published: networks.Published, stated: hetero.Preprocessing | None) -> hetero.Recipe:
    cloud: dict[str, Any] = {"model": published.name}
    if published.weights:
        cloud["weights"] = str(published.weights)
    if stated:
        cloud["preprocessing"] = SMALL
    value = {
        "name": "by-name",
        "data": {"kind": "folder", "path": "photos"},
        "preprocessing": {"height": 32, "width": 32},
        "cloud": cloud,
        "students": [{"name": "edge"}],
    }
    return parse_recipe(value, what="recipe.toml")
