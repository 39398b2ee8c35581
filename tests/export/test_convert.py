from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from export.conversion.card import grey_rule, resize_rule
from export.conversion.worker import cosines, require_parity
from export.errors import ExportError
from hetero.preprocessing import Preprocessing
from tests.export.bundles import units

EXACT = {"least": 1 - 1e-6, "length_error": 1e-5}


def test_cosines_by_hand() -> None:
    these = np.array([[1, 0], [1, 0]], np.float32)
    those = np.array([[0.6, 0.8], [2, 0]], np.float32)
    assert cosines(these, those) == pytest.approx([0.6, 1.0])


def turned(vectors: np.ndarray, angle: float) -> np.ndarray:
    """Every vector turned by an angle in the plane of its first two axes."""
    made = vectors.astype(np.float64)
    made[:, 0] = math.cos(angle) * vectors[:, 0] - math.sin(angle) * vectors[:, 1]
    made[:, 1] = math.sin(angle) * vectors[:, 0] + math.cos(angle) * vectors[:, 1]
    return made.astype(np.float32)


def test_parity() -> None:
    plane = units(5, 0, 2)
    same = pytest.approx(math.cos(1e-4), abs=1e-9)
    assert require_parity("m", turned(plane, 1e-4), plane, **EXACT) == (same, same)
    # cos(2e-3) is 1 - 2e-6.
    with pytest.raises(ExportError, match=r"over 5 golden images its smallest cosine.* is 0\.99999800"):
        require_parity("m", turned(plane, 2e-3), plane, **EXACT)


@pytest.mark.parametrize(
    "came", [np.zeros((5, 2), np.float32), np.full((5, 2), np.nan, np.float32), 2 * units(5, 0, 2), units(4, 0, 2)]
)
def test_parity_refuses_what_is_no_unit_vector(came: np.ndarray) -> None:
    with pytest.raises(ExportError):
        require_parity("m", came, units(5, 0, 2), **EXACT)


def test_one_wrong_image_is_enough() -> None:
    expected = units(64, 0)
    came = expected.copy()
    came[17] = came[18]
    with pytest.raises(ExportError):
        require_parity("m", came, expected, **EXACT)


def test_resize_rule_gives_what_decoding_does() -> None:
    from PIL import Image

    from hetero.data.decoding.decode import resized

    preprocessing = Preprocessing(height=20, width=24, resize="pad", pad_value=200)
    rule = resize_rule(preprocessing)
    assert "min(24 / its width, 20 / its height)" in rule
    assert "24 x 20 pixels" in rule
    assert "grey level 200" in rule
    # The rule followed by hand for 30 x 50: scale 0.4, 12 x 20, (24 - 12) // 2 = 6 columns of ground on the left.
    pixels = resized(Image.new("RGB", (30, 50), (10, 20, 30)), preprocessing)
    assert (pixels[:, :6] == 200).all()
    assert (pixels[:, 6:18] == (10, 20, 30)).all()
    assert (pixels[:, 18:] == 200).all()


def test_grey_rule_gives_what_decoding_does(tmp_path: Path) -> None:
    from PIL import Image

    from hetero.data.decoding.decode import decode

    preprocessing = Preprocessing(height=1, width=3, resize="squash", grey_range=(100.0, 4095.0))
    assert "floor((v - 100) / 3995 * 255 + 0.5)" in grey_rule(preprocessing)
    assert grey_rule(Preprocessing(height=1, width=3)) == ""
    Image.fromarray(np.array([[90, 1000, 5000]], np.uint16)).save(tmp_path / "a.png")
    # By hand: 255 * 900 / 3995 + 0.5 = 57.9.
    assert decode(tmp_path / "a.png", preprocessing)[0, :, 0].tolist() == [0, 57, 255]
