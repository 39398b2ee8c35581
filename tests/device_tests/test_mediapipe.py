"""Exported LiteRT files in MediaPipe's own ImageEmbedder, beside LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from device_tests.resizing.resizers import mediapipe, resized_with
from export import export_model
from export.bundle.reading import Bundle, read_bundle
from export.formats.litert.runtime import embed
from export.kinds.precision import Precision
from tests.export.test_export import PREPROCESSING, save_tiny, tiny_calibration, tiny_retrieval

package: Any = pytest.importorskip("mediapipe", reason="needs the extra mediapipe", exc_type=ImportError)
pytestmark = pytest.mark.slow

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int8-uint8io")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("exported")
    model, calibration = save_tiny(root / "model"), tiny_calibration(root / "model")
    export_model(
        model, tiny_retrieval(), root / "bundle", formats=("litert",), precisions=PRECISIONS, calibration=calibration
    )
    return read_bundle(root / "bundle")


def embedded(path: Path, images: Sequence[NDArray[np.uint8]], *, unit: bool = False) -> NDArray[np.float32]:
    """The embedder's vectors of images of any size: float32 [n, d]."""
    vision = package.tasks.vision
    base = package.tasks.BaseOptions(model_asset_path=str(path))
    options = vision.ImageEmbedderOptions(base_options=base, l2_normalize=unit, quantize=False)
    with vision.ImageEmbedder.create_from_options(options) as embedder:
        rgb = package.ImageFormat.SRGB
        results = [embedder.embed(package.Image(image_format=rgb, data=image)) for image in images]
    return np.array([result.embeddings[0].embedding for result in results], np.float32)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_takes_every_file_as_it_is_and_gives_the_interpreters_vectors(bundle: Bundle, precision: Precision) -> None:
    model = bundle.model("litert", precision)
    assert model is not None
    images = bundle.goldens.golden_images
    ours = embed(bundle.file(model).read_bytes(), images).astype(np.float64)
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    for unit in (False, True):
        theirs = embedded(bundle.file(model), list(images), unit=unit).astype(np.float64)
        lengths = np.linalg.norm(theirs, axis=1)
        assert ((theirs * ours).sum(axis=1) / lengths).min() >= 1 - 1e-6
        assert not unit or np.abs(lengths - 1).max() <= 1e-6


@pytest.mark.parametrize(("height", "width"), [(480, 640), (100, 77), (40, 48), (13, 11), (1, 1)])
def test_its_resizing_is_what_the_stand_in_gives(bundle: Bundle, tmp_path: Path, height: int, width: int) -> None:
    """At 20 by 24 pixels no place lies halfway between two fractions, so that both are equal to the last bit."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    squashed = type(PREPROCESSING)(PREPROCESSING.height, PREPROCESSING.width, resize="squash")
    ours = resized_with(tmp_path / "picture.png", squashed, mediapipe)
    model = bundle.model("litert")
    assert model is not None
    path = bundle.file(model)
    np.testing.assert_array_equal(embedded(path, [pixels]), embed(path.read_bytes(), ours[None]))
