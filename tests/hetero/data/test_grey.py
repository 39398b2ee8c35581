from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hetero.data.checking.check import check, config_for
from hetero.data.checking.text import as_text
from hetero.data.config import DataConfig
from hetero.data.decoding.decode import UnreadableImageError, decode
from hetero.data.decoding.decoded import decode_files
from hetero.data.decoding.grey import DeepGrey
from hetero.data.prepare import prepare
from hetero.errors import InputError
from hetero.pipeline.draft import parse_recipe
from hetero.preprocessing import Preprocessing

SAME = Preprocessing(4, 6, resize="squash")


def stated(low: float, high: float) -> Preprocessing:
    return Preprocessing(4, 6, resize="squash", grey_range=(low, high))


def saved(values: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("extension", ["png", "tiff"])
def test_a_stated_range_spreads_the_values_over_all_levels(tmp_path: Path, extension: str) -> None:
    values = np.tile(np.array([0, 100, 1000, 2047, 4095, 60000], np.uint16), (4, 1))
    path = saved(values, tmp_path / f"a.{extension}")
    levels = decode(path, stated(100.0, 4095.0))
    assert levels[0, :, 0].tolist() == [0, 0, 57, 124, 255, 255], "floor(255 (v - 100) / 3995 + .5), cut off"
    assert decode(path, SAME)[0, :, 0].tolist() == [0, 0, 3, 7, 15, 234], "the high byte"


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (np.array([-1000, -200, 0, 600, 1200, 3000], np.int32), -1000.0, 3000.0),
        (np.array([0, 1, 2, 3, 4, 5], np.int32), 0.0, 5.0),
        (np.array([-0.5, 0, 0.25, 0.5, 1, 1.5], np.float32), 0.0, 1.0),
        (np.array([0, 70000, 80000, 90000, 100000, 1 << 20], np.int32), 0.0, 100000.0),
    ],
)
def test_integers_of_32_bits_and_floating_point_pixels_too(
    tmp_path: Path, values: np.ndarray, low: float, high: float
) -> None:
    path = saved(np.tile(values, (4, 1)), tmp_path / "a.tiff")
    expected = np.floor((values.astype(float) - low) / (high - low) * 255 + 0.5).clip(0, 255)
    assert decode(path, stated(low, high))[0, :, 0].tolist() == expected.tolist()


def test_eight_bit_files_do_not_mind_the_range(tmp_path: Path) -> None:
    path = saved(np.arange(24, dtype=np.uint8).reshape(4, 6), tmp_path / "a.png")
    assert np.array_equal(decode(path, stated(0.0, 5.0)), decode(path, SAME))


def test_pixels_that_are_not_finite_and_ranges_that_are_none_are_refused(tmp_path: Path) -> None:
    path = saved(np.full((4, 6), np.nan, np.float32), tmp_path / "a.tiff")
    with pytest.raises(UnreadableImageError, match="not finite"):
        decode(path, stated(0.0, 1.0))
    with pytest.raises(UnreadableImageError, match=r"no agreed range; state it .* grey_range = \[0.0, 1.0\]"):
        decode(path, SAME)
    with pytest.raises(InputError, match="expected the value of black and a larger one of white"):
        stated(5.0, 5.0)


def x_rays(root: Path, highest: int) -> DataConfig:
    generator = np.random.default_rng(0)
    for label in "ab":
        for number in range(8):
            values = generator.integers(0, highest + 1, (9, 12)).astype(np.uint16)
            values[0, 0] = highest
            saved(values, root / label / f"{number}.png")
    return DataConfig(kind="folder", path=str(root))


def test_values_of_few_bits_are_refused_until_the_range_is_stated(tmp_path: Path) -> None:
    config, message = (
        x_rays(tmp_path / "photos", 4011),
        r"16 grey images.*0 to 4011.*15 of 255.*grey_range = \[0, 4095\]",
    )
    report = check(config)
    assert report.grey == DeepGrey(16, 0.0, 4011.0) and report.black == 16
    assert len(report.problems) == 1
    for limit in (0.0, 4.0):
        limited = DataConfig(kind="folder", path=config.path, decoded_limit_gb=limit)
        for _ in range(2):
            with pytest.raises(InputError, match=message):
                prepare(limited, SAME, cache=tmp_path / "cache")
    with pytest.raises(InputError, match=message):
        decode_files(sorted((tmp_path / "photos").rglob("*.png")), SAME)
    good = prepare(config, stated(0.0, 4095.0), cache=tmp_path / "cache")
    assert np.asarray(good.train.images[:]).max() > 150
    dark = prepare(config, stated(0.0, 65535.0), cache=tmp_path / "cache")
    assert np.asarray(dark.train.images[:]).max() < 16, "as stated"
    again = check(config, grey_range=(0.0, 4095.0))
    assert again.problems == () and again.black == 0


def test_the_report_says_so_in_a_line(tmp_path: Path) -> None:
    text = as_text(check(x_rays(tmp_path / "photos", 4011)))
    assert "deep grey: 16 images, values 0 to 4011\n" in text
    assert "WARNING: 16 images are nearly black (no pixel above 15 of 255)\n" in text
    assert text.endswith("1 problems")


def test_values_of_16_bits_need_no_range(tmp_path: Path) -> None:
    report = check(config_for(Path(x_rays(tmp_path / "photos", 65000).path)))
    assert report.problems == () and report.black == 0


@pytest.mark.parametrize(
    ("grey", "said"),
    [
        (DeepGrey(1, 0.0, 32767.0), r"127 of 255; state .*\[0, 32767\], or \[0, 65535\]"),
        (DeepGrey(1, 0.0, 255.0), r"0 of 255; state .*\[0, 255\]"),
        (DeepGrey(1, -1024.0, 3071.0), r"not those of 16 bits; state .*\[-1024, 3071\]"),
        (DeepGrey(1, 0.0, 65536.0), "not those of 16 bits"),
    ],
)
def test_what_is_wrong_with_a_range_that_is_not_stated(grey: DeepGrey, said: str) -> None:
    assert re.search(said, grey.problem(None)) and grey.problem((0.0, 1.0)) == ""


def test_recipes_tell_of_a_range_that_is_none() -> None:
    table = {"height": 32, "width": 32, "grey_range": [9.0, 1.0]}
    value = {"name": "r", "data": {"kind": "emoji"}, "preprocessing": table, "students": [{"name": "e"}]}
    with pytest.raises(InputError, match=r"preprocessing\.grey_range: expected the value of black"):
        parse_recipe(value, what="r")
