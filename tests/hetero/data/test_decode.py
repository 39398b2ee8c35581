from __future__ import annotations

import os
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

import hetero.data.checking.check as check_module
from device_tests.runner.decoding import pixels_of
from hetero.data.decoding.decode import UnreadableImageError, decode, decoded_whole, decoding_key, picture_size, resized
from hetero.data.sources.listing import ListedImage
from hetero.data.sources.walk import EXTENSIONS
from hetero.preprocessing import Preprocessing
from tests.hetero.data.pictures import write_picture

SAME = Preprocessing(4, 6, resize="squash")


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_exif_orientation_turns_the_image_upright(tmp_path: Path) -> None:
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[:, :2] = (250, 0, 0)
    for orientation, stored in ((3, upright[::-1, ::-1]), (6, np.rot90(upright, 1)), (8, np.rot90(upright, -1))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = saved(Image.fromarray(np.ascontiguousarray(stored)), tmp_path / f"{orientation}.png", exif=exif)
        assert np.array_equal(decode(path, SAME), upright)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr", "CMYK"])
def test_every_colour_mode_shows_the_same_picture(tmp_path: Path, mode: str) -> None:
    black_and_white = np.zeros((4, 6, 3), np.uint8)
    black_and_white[:, 3:] = 255
    extension = "tiff" if mode in ("YCbCr", "CMYK") else "png"
    path = saved(Image.fromarray(black_and_white).convert(mode), tmp_path / f"a.{extension}")
    with Image.open(path) as image:
        assert image.mode == mode
    assert np.abs(decode(path, SAME).astype(int) - black_and_white).max() <= 1


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (6, 4), (200, 30, 30)).convert("CMYK"), tmp_path / "a.jpg", quality=95)
    assert np.abs(decode(path, SAME).astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_transparency_shows_the_ground(tmp_path: Path, ground: int) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, 3:] = (10, 20, 30, 255)
    preprocessing = Preprocessing(4, 6, resize="squash", pad_value=ground)
    expected = np.full((4, 6, 3), ground, np.uint8)
    expected[:, 3:] = (10, 20, 30)
    assert np.array_equal(decode(saved(Image.fromarray(rgba), tmp_path / "rgba.png"), preprocessing), expected)

    palette = Image.new("P", (6, 4), 0)
    palette.putpalette([9, 9, 9, 10, 20, 30])
    palette.paste(1, (3, 0, 6, 4))
    path = saved(palette, tmp_path / "palette.png", transparency=0)
    assert np.array_equal(decode(path, preprocessing), expected)


def test_half_transparent_grey_blends(tmp_path: Path) -> None:
    path = saved(Image.new("LA", (6, 4), (0, 128)), tmp_path / "la.png")
    assert np.abs(decode(path, SAME).astype(int) - 127).max() <= 1


def test_sixteen_bit_grey_keeps_its_levels(tmp_path: Path) -> None:
    levels = np.tile(np.array([0, 256, 1000, 32768, 60000, 65535], np.uint16), (4, 1))
    path = saved(Image.fromarray(levels), tmp_path / "a.png")
    assert np.array_equal(decode(path, SAME)[..., 0], levels >> 8)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.ones((4, 6), np.float32)), tmp_path / "a.tiff")
    with pytest.raises(UnreadableImageError, match="floating-point pixels have no agreed range"):
        decode(path, SAME)


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.array_equal(decode(path, SAME)[0, 0], (255, 0, 0))


def test_box_counts_on_the_upright_image(tmp_path: Path) -> None:
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[1:3, 4:6] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.fromarray(np.ascontiguousarray(np.rot90(upright, 1))), tmp_path / "a.png", exif=exif)
    two = Preprocessing(2, 2)
    assert (decode(path, two, (4.0, 1.0, 6.0, 3.0)) == 255).all()
    assert (decode(path, two, (4.0, 1.0, 100.0, 3.0)) == 255).all(), "the part outside of the image is left out"
    with pytest.raises(UnreadableImageError, match="holds no pixel of the 6 x 4 image"):
        decode(path, two, (7.0, 0.0, 9.0, 3.0))


def test_damaged_files_say_what_is_wrong(tmp_path: Path) -> None:
    whole = write_picture(tmp_path / "whole.png", size=(200, 200)).read_bytes()
    cases = {
        "empty.jpg": (b"", "cannot identify image file"),
        "text.png": (b"not an image", "cannot identify image file"),
        "truncated.png": (whole[: len(whole) // 2], "truncated|broken"),
    }
    for name, (data, reason) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableImageError, match=reason) as caught:
            decode(tmp_path / name, SAME)
        assert str(tmp_path) not in caught.value.reason
    with pytest.raises(UnreadableImageError, match="no such file"):
        decode(tmp_path / "missing.png", SAME)


@pytest.mark.parametrize(
    ("side", "told"),
    [(11_600, "11600 x 11600 pixels, more than the limit of 134,217,728"), (60_000, "more than the limit|more pixels")],
)
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(tmp_path: Path, side: int, told: str) -> None:
    path = write_picture(tmp_path / "bomb.png")
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", __import__("zlib").crc32(data[12:29]))
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for look in (lambda: decode(path, SAME), lambda: picture_size(path), lambda: decoded_whole(path, SAME)):
            with pytest.raises(UnreadableImageError, match=told):
                look()
        with pytest.raises((ValueError, Image.DecompressionBombError), match=f"{told}|exceeds limit"):
            pixels_of(str(path), {"pad_value": 0})


def test_no_format_is_tried_that_is_not_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript, whatever it is called, would start Ghostscript."""
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    for look in (lambda: decode(path, SAME), lambda: picture_size(path), lambda: decoded_whole(path, SAME)):
        with pytest.raises(UnreadableImageError, match="it is none of JPEG, PNG"):
            look()
    with pytest.raises(UnidentifiedImageError):
        pixels_of(str(path), {"pad_value": 0})
    assert check_module._look(ListedImage(path, "photo.jpg", "a", "train", ""), SAME).error.startswith(
        "cannot identify"
    )
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_every_format_that_folders_are_searched_for_is_read(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a{extension}"
    Image.new("RGB", (6, 4), (200, 30, 30)).save(path)
    assert decode(path, SAME).shape == (4, 6, 3)


def test_resize_manners_on_a_wide_image() -> None:
    # Left third red, middle green, right blue.
    wide = Image.fromarray(np.repeat(np.eye(3, dtype=np.uint8) * 255, 30, axis=0)[None].repeat(30, axis=0))
    assert wide.size == (90, 30)
    squashed = resized(wide, Preprocessing(30, 30, resize="squash"))
    assert [squashed[15, x].argmax() for x in (5, 15, 25)] == [0, 1, 2]
    cropped = resized(wide, Preprocessing(30, 30, resize="crop"))
    assert np.array_equal(cropped, np.full((30, 30, 3), (0, 255, 0), np.uint8))
    padded = resized(wide, Preprocessing(30, 30, resize="pad", pad_value=77))
    assert (padded[:10] == 77).all() and (padded[20:] == 77).all()
    assert [padded[15, x].argmax() for x in (4, 14, 24)] == [0, 1, 2]


def test_downsizing_averages_instead_of_skipping() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32))).convert("RGB")
    small = resized(stripes, Preprocessing(8, 8))
    assert np.abs(small.astype(int) - 127).max() < 20


def test_rows_are_resized_before_columns_whatever_the_shape(tmp_path: Path) -> None:
    """Means of rows round to 1, 1, 0, 1, and these to 1, of 17/24; columns alone would round to 0 and 0."""
    picture = np.repeat(np.array([[[1], [0]], [[0], [1]], [[0], [0]], [[1], [0]]], np.uint8), 3, axis=2)
    contract = Preprocessing(1, 1, resize="squash")
    assert resized(Image.fromarray(picture), contract).tolist() == [[[1, 1, 1]]]
    path = saved(Image.fromarray(picture), tmp_path / "tall.png")
    assert pixels_of(str(path), contract.to_dict()).tolist() == [[[1, 1, 1]]]


@settings(max_examples=200)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    manner=st.sampled_from(["squash", "pad", "crop"]),
    filter_=st.sampled_from(["bilinear", "bicubic"]),
)
def test_any_size_fits_and_a_plain_image_stays_plain(
    width: int, height: int, target: tuple[int, int], manner: str, filter_: str
) -> None:
    preprocessing = Preprocessing(target[0], target[1], resize=manner, filter=filter_, pad_value=90)  # type: ignore[arg-type]
    result = resized(Image.new("RGB", (width, height), (90, 90, 90)), preprocessing)
    assert result.shape == (*target, 3) and result.dtype == np.uint8
    assert (result == 90).all()


def test_only_what_changes_pixels_changes_the_key() -> None:
    base = Preprocessing(32, 32)
    assert decoding_key(base) == decoding_key(Preprocessing(32, 32, mean=(0.1, 0.2, 0.3)))
    assert decoding_key(base) != decoding_key(Preprocessing(32, 32, resize="crop"))


def test_an_unreadable_image_is_told_to_other_processes(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        decode(tmp_path / "none.png", Preprocessing(8, 8))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.reason == "no such file"
