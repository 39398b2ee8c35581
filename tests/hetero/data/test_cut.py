"""Pictures that are resized first and whose centre is then cut out, as libraries of published networks do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import hetero
from export.capture.source import from_module
from hetero.data.decoding.decode import UnreadableImageError, decode, resized
from hetero.data.decoding.frame import reach, same_frame
from hetero.errors import InputError
from hetero.pipeline.draft import parse_recipe
from hetero.preprocessing import Preprocessing

CUT = Preprocessing(height=4, width=4, resize="crop", cut_from=4)


def columns(count: int, rows: int = 4) -> Image.Image:
    """A picture whose pixels say their column."""
    return Image.fromarray(np.broadcast_to(np.arange(count, dtype=np.uint8)[None, :, None], (rows, count, 3)).copy())


@pytest.mark.parametrize(
    ("width", "rounds", "first"),
    [(8, "even", 2), (9, "even", 2), (11, "even", 4), (13, "even", 4), (9, "down", 2), (11, "down", 3)],
)
def test_half_a_pixel_goes_to_the_even_place_or_down(width: int, rounds: str, first: int) -> None:
    takes = Preprocessing(height=4, width=4, resize="crop", cut_from=4, cut_rounds=rounds)  # type: ignore[arg-type]
    across = resized(columns(width), takes)
    assert across[0, :, 0].tolist() == list(range(first, first + 4))
    down = resized(columns(width).transpose(Image.Transpose.TRANSPOSE), takes)
    assert down[:, 0, 0].tolist() == list(range(first, first + 4))


def test_the_longer_side_is_rounded_down_and_the_cut_is_of_whole_pixels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    takes = Preprocessing(height=8, width=10, resize="crop", filter="bicubic", cut_from=12)
    # 12 * 50 / 37 = 16.2; 16 - 10 leaves 3 on the left, 12 - 8 leaves 2 above.
    across = Image.fromarray(noise).resize((16, 37), Image.Resampling.BICUBIC)
    expected = np.asarray(across.resize((16, 12), Image.Resampling.BICUBIC))[2:10, 3:13]
    assert np.array_equal(resized(Image.fromarray(noise), takes), expected)
    squashed = Preprocessing(height=8, width=10, resize="squash", filter="bicubic", cut_from=12)
    across = Image.fromarray(noise).resize((12, 37), Image.Resampling.BICUBIC)
    expected = np.asarray(across.resize((12, 12), Image.Resampling.BICUBIC))[2:10, 1:11]
    assert np.array_equal(resized(Image.fromarray(noise), squashed), expected)


def test_a_picture_that_is_far_too_long_is_refused_by_name(tmp_path: Path) -> None:
    columns(255, 1).resize((30_000, 1)).save(tmp_path / "long.png")
    assert decode(tmp_path / "long.png", CUT).shape == (4, 4, 3)
    with pytest.raises(UnreadableImageError, match=r"long\.png: its longer side would take 240,000 pixels") as caught:
        decode(tmp_path / "long.png", Preprocessing(height=4, width=4, resize="crop", cut_from=8))
    assert caught.value.path == tmp_path / "long.png"


def test_a_picture_reaches_beyond_what_is_cut_out() -> None:
    sizes = np.array([[20, 10], [10, 30]])
    cut = Preprocessing(height=8, width=8, resize="crop", cut_from=10)
    # 20 x 10 becomes 20 x 10, of which 8 x 8 is seen; 10 x 30 stays as it is.
    np.testing.assert_allclose(reach(sizes, cut), [[20 / 8, 10 / 8], [10 / 8, 30 / 8]])
    squashed = Preprocessing(height=8, width=8, resize="squash", cut_from=10)
    np.testing.assert_allclose(reach(sizes, squashed), [[10 / 8, 10 / 8]] * 2)
    twice = Preprocessing(height=16, width=16, resize="crop", cut_from=20)
    assert same_frame(cut, twice) and not same_frame(cut, Preprocessing(height=8, width=8, resize="crop"))
    assert not same_frame(squashed, Preprocessing(height=8, width=8, resize="squash"))


def test_what_is_not_stated_changes_no_digest() -> None:
    plain = Preprocessing(height=4, width=4, resize="crop")
    assert not {"cut_from", "cut_rounds"} & plain.to_dict().keys()
    assert {"cut_from": 4, "cut_rounds": "even"}.items() <= CUT.to_dict().items()
    down = Preprocessing(height=4, width=4, resize="crop", cut_from=4, cut_rounds="down")
    assert len({each.decoding for each in (plain, CUT, down)}) == len({each.digest for each in (plain, CUT, down)}) == 3
    assert CUT.in_words == "4x4 (crop from 4, bilinear)"


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"resize": "pad", "cut_from": 9}, "belongs to resize = crop or squash"),
        ({"resize": "crop", "cut_from": 5}, "cut_from: expected at least 6 pixels, got 5"),
        ({"resize": "crop", "cut_rounds": "down"}, "cut_rounds: belongs to cut_from"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(stated: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Preprocessing(height=4, width=6, **stated)  # type: ignore[arg-type]


def test_applications_are_not_asked_to_cut() -> None:
    value = {
        "name": "cut",
        "data": {"kind": "folder", "path": "photos"},
        "preprocessing": {"height": 4, "width": 4, "resize": "crop", "cut_from": 4},
        "students": [{"name": "edge"}],
    }
    with pytest.raises(InputError, match="preprocessing.cut_from: is for cloud models alone"):
        parse_recipe(value, what="recipe.toml")
    space = hetero.EmbeddingSpace.define(defined_by="a", name="a", version="1", dimension=48)
    with pytest.raises(InputError, match="net: preprocessing.cut_from: is for cloud models alone"):
        from_module(nn.Flatten(), CUT, space, name="net")
    assert torch.is_tensor(from_module(nn.Flatten(), Preprocessing(4, 4), space, name="net").example)
