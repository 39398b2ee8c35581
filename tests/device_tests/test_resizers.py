"""Stand-ins of platform resizers, by hand and beside Pillow's own where Pillow has the same filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device_tests.resizing.cost import resizer_costs
from device_tests.resizing.resizers import RESIZERS, android, area, bilinear, lanczos, mediapipe, nearest, resized_with
from device_tests.targets.desktop import Desktop
from export.bundle.reading import read_bundle
from hetero.preprocessing import Preprocessing
from tests.device_tests.tiny_bundle import write_bundle

SIZES = st.integers(1, 40)


@given(source=SIZES, target=SIZES)
def test_a_flat_image_stays_flat(source: int, target: int) -> None:
    for weights in RESIZERS.values():
        np.testing.assert_allclose(weights(source, target).sum(axis=1), 1, atol=1e-9)


def test_by_hand() -> None:
    """Four pixels to two: the centres lie between pixels 0 and 1, and between 2 and 3."""
    halves = [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(bilinear(4, 2), halves)
    np.testing.assert_allclose(area(4, 2), halves)
    np.testing.assert_allclose(nearest(4, 2), [[1, 0, 0, 0], [0, 0, 1, 0]])
    # Three to two: each takes one pixel and half of the middle one.
    np.testing.assert_allclose(area(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    # Five to three, the first centre at 1/3: a fraction of 5 sixteenths for Skia.
    np.testing.assert_allclose(bilinear(5, 3)[0, :2], [2 / 3, 1 / 3])
    np.testing.assert_allclose(android(5, 3)[0, :2], [11 / 16, 5 / 16])
    # From the corner, at 0, 5/3 and 10/3: fractions of 21 and 11 thirty-seconds.
    np.testing.assert_allclose(mediapipe(5, 3)[1], [0, 11 / 32, 21 / 32, 0, 0])
    np.testing.assert_allclose(mediapipe(5, 3)[2], [0, 0, 0, 21 / 32, 11 / 32])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 17)])
def test_lanczos_is_pillows(tmp_path: Path, height: int, width: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 61, 3), np.uint8))
    picture.save(tmp_path / "p.png")
    contract = Preprocessing(height, width, resize="squash")
    ours = resized_with(tmp_path / "p.png", contract, lanczos).astype(int)
    theirs = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("resize", ["pad", "crop"])
def test_the_contracts_manner_is_kept(tmp_path: Path, resize: str) -> None:
    pixels = np.full((20, 40, 3), 10, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    made = resized_with(tmp_path / "p.png", Preprocessing(8, 8, resize=resize), area)  # type: ignore[arg-type]
    assert (made == 10).all() == (resize == "crop")
    assert (made[2:6] == 10).all()
    if resize == "pad":
        assert (made[:2] == 255).all() and (made[6:] == 255).all()


def test_prices_are_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    desktop = Desktop()
    costs = {cost.resizer: cost for cost in resizer_costs(bundle, desktop)}
    assert set(costs) == set(RESIZERS)
    assert all(cost.queries == 48 and cost.mean_difference > 1 for cost in costs.values())
    assert costs["nearest"].mean_difference > costs["OpenCV area"].mean_difference
    assert costs["nearest"].largest_angle_degrees > costs["nearest"].median_angle_degrees > 1
    assert all(cost.loss == pytest.approx(cost.cmc1_contract - cost.cmc1) for cost in costs.values())
    monkeypatch.setattr(Desktop, "run", lambda *_: pytest.fail("measured again"))
    assert {cost.resizer: cost for cost in resizer_costs(bundle, desktop)} == costs


def test_without_originals_there_is_no_price(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",), with_originals=False))
    assert resizer_costs(bundle, Desktop()) == []
