"""Random crops: the same part of a picture wherever it is stored, cut from its original before it is resized."""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from hetero.data.augmentation.augment import crop_boxes, random_numbers
from hetero.data.augmentation.config import UNCHANGED, AugmentConfig
from hetero.data.augmentation.copies import with_copies
from hetero.data.augmentation.shown import ShownImages
from hetero.data.config import DataConfig
from hetero.data.decoding.crop import Shares, part_of, reduce_for
from hetero.data.decoding.decode import decode, decode_bytes
from hetero.data.images import Dataset, ImageSet
from hetero.data.prepare import prepare
from hetero.data.subset import with_rows
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from hetero.schema import parse
from hetero.training.batches.feed import Feed
from hetero.training.config import TrainingConfig
from tests.hetero.data.index.shards import samples, tar_of
from tests.hetero.data.pictures import write_picture

TINY = Preprocessing(2, 2, resize="squash")
CROPS = dataclasses.replace(UNCHANGED, crop_area=(0.2, 0.6))
QUARTER = np.array([[0.5, 0.0, 1.0, 0.5]])
"""The upper right quarter."""


def numbers(*values: float) -> torch.Tensor:
    """Random numbers of one image, of which the last four decide its crop."""
    return torch.tensor([0.0] * 14 + list(values))[:, None]


def test_a_crop_follows_from_four_numbers() -> None:
    config = AugmentConfig(crop_area=(0.25, 1.0), crop_aspect=(0.5, 2.0))
    # A quarter of the area in the picture's shape: half of each side, from a quarter and a half of what is left.
    np.testing.assert_allclose(crop_boxes(numbers(0.0, 0.5, 0.5, 1.0), config), [[0.25, 0.5, 0.75, 1.0]], atol=1e-6)
    # Twice as wide for its height: sqrt(1/4 * 2) wide and sqrt(1/4 / 2) high.
    np.testing.assert_allclose(
        crop_boxes(numbers(0.0, 1.0, 0.0, 0.0), config), [[0.0, 0.0, 0.5**0.5, 0.125**0.5]], atol=1e-6
    )
    # All of the area at twice the width would not fit: the whole width, and half of the height.
    np.testing.assert_allclose(crop_boxes(numbers(1.0, 1.0, 0.3, 0.0), config), [[0.0, 0.0, 1.0, 0.5]], atol=1e-6)
    boxes = crop_boxes(random_numbers(5000, torch.Generator().manual_seed(0)), config)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert boxes.min() >= 0 and boxes.max() <= 1 + 1e-12
    assert sides.prod(axis=1).min() >= 0.25 - 1e-9 and 0.5 < sides.prod(axis=1).mean() < 0.65


def test_numbers_of_the_other_changes_are_those_without_crops() -> None:
    together = random_numbers(20, torch.Generator().manual_seed(3))
    assert torch.equal(together[:14], torch.rand((14, 20), generator=torch.Generator().manual_seed(3)))
    generator = torch.Generator().manual_seed(3)
    chunks = [torch.rand((14, count), generator=generator) for count in (8, 8, 4)]
    assert torch.equal(random_numbers(20, torch.Generator().manual_seed(3), at_once=8)[:14], torch.cat(chunks, dim=1))


def test_a_crop_is_cut_before_it_is_resized(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png", TINY, crop=(0.5, 0.0, 1.0, 0.5)), pixels[:2, 2:])
    # Of the box from (1, 1) to (4, 4) the lower two thirds, as wide as they are high.
    cut = decode(tmp_path / "a.png", TINY, (1.0, 1.0, 4.0, 4.0), crop=(1 / 3, 1 / 3, 1.0, 1.0))
    np.testing.assert_array_equal(cut, pixels[2:, 2:])
    assert part_of((10, 0, 14, 4), (0.35, 0.05, 0.4, 0.08)) == (11, 0, 12, 1), "at least one pixel"
    assert part_of((10, 0, 14, 4), (0.98, 0.0, 1.0, 1.0)) == (13, 0, 14, 4)


def test_crops_are_of_the_upright_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = np.rot90(pixels, -1)
    assert upright.shape == (6, 4, 3)
    crop = decode(tmp_path / "a.png", Preprocessing(3, 2, resize="squash"), crop=(0.5, 0.5, 1.0, 1.0))
    np.testing.assert_array_equal(crop, upright[3:, 2:])


def photo(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A JPEG with smooth shapes and fine grain."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32)
    pixels = pixels + generator.normal(0, 10, (size[1], size[0], 1))
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "jpeg", quality=90, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("crop", "side", "reduction"),
    [
        ((0.0, 0.0, 1.0, 1.0), 32, 8),  # 750 lines: 11 for each of 32, so 8 leave more than one
        ((0.1, 0.1, 0.5, 0.5), 48, 2),  # 300 lines: 3 for each half of 48
        ((0.1, 0.1, 0.2, 0.2), 48, 1),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_jpeg_is_decoded_no_larger_than_its_crop_needs(
    monkeypatch: pytest.MonkeyPatch, crop: Shares, side: int, reduction: int, orientation: int
) -> None:
    data, takes = photo((1001, 750), orientation), Preprocessing(side, side, pad_value=0)
    reductions = list[int]()

    def watched(*arguments: Any) -> int:
        reductions.append(reduce_for(*arguments))
        return reductions[-1]

    monkeypatch.setattr("hetero.data.decoding.decode.reduce_for", watched)
    reduced = decode_bytes(data, "a", takes, crop=crop)[0].astype(int)
    assert reductions == [reduction]
    monkeypatch.setattr("hetero.data.decoding.decode.reduce_for", lambda *_: 1)
    whole, other = (
        decode_bytes(data, "a", way, crop=crop)[0].astype(int)
        for way in (takes, dataclasses.replace(takes, filter="bicubic"))
    )
    assert np.abs(reduced - whole).mean() < min(0.5, np.abs(other - whole).mean()), "less than the choice of a filter"


def of_folder(place: Path, store: str) -> DataConfig:
    return DataConfig(kind="folder", path=str(place / "photos"), decoded_limit_gb=4.0 if store == "kept" else 0.0)


def of_table(place: Path, _store: str) -> DataConfig:
    lines = ["label,split,path,x_1,y_1,x_2,y_2"]
    lines += [
        f"{path.parent.name},{path.parents[1].name},{path.relative_to(place)},2,1,10,9"
        for path in sorted((place / "photos").rglob("*.png"))
    ]
    (place / "t.csv").write_text("\n".join(lines))
    return DataConfig(kind="csv", path=str(place / "t.csv"), root=str(place))


def of_shards(place: Path, store: str) -> DataConfig:
    (place / "shards").mkdir()
    for split in ("train", "test"):
        data = tar_of(samples({"a": 4, "b": 4, "c": 4}, 100 * (split == "test")))
        (place / "shards" / f"{split}-0.tar").write_bytes(data)
    if store != "remote":
        return DataConfig(kind="webdataset", path=str(place / "shards"))
    fsspec = pytest.importorskip("fsspec", reason="needs the extra data")
    files = fsspec.filesystem("memory")
    for path in (place / "shards").iterdir():
        files.pipe_file(f"/crops/{path.name}", path.read_bytes())
    shutil.rmtree(place / "shards")
    return DataConfig(kind="webdataset", path="memory://crops/*.tar")


def prepared(place: Path, config: Callable[[Path, str], DataConfig], store: str, takes: Preprocessing) -> Dataset:
    for number in range(36):
        split, label = ("train", "validation", "test")[number % 3], "abc"[number // 3 % 3]
        write_picture(place / "photos" / split / label / f"{number:03}.png", number)
    return prepare(config(place, store), takes, cache=place / "cache")


@pytest.mark.parametrize(
    ("config", "store"),
    [(of_folder, "kept"), (of_folder, "lazy"), (of_table, "boxes"), (of_shards, "disk"), (of_shards, "remote")],
)
def test_every_kind_of_data_is_cropped_alike(tmp_path: Path, config: Any, store: str) -> None:
    takes = Preprocessing(8, 6, pad_value=7)
    train = prepared(tmp_path, config, store, takes).train
    assert train.source is not None
    rows = np.array([3, 0, 3])
    crops = np.array([[0.25, 0.0, 0.75, 0.5], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0]])
    got = train.source.originals(takes).cropped(rows, crops)
    some = with_rows(train, np.array([5, 3, 0]))
    assert some.source is not None
    np.testing.assert_array_equal(some.source.originals(takes).cropped(np.array([1, 2, 1]), crops), got)
    for pixels, row, (left, top, right, bottom) in zip(got, rows.tolist(), crops.tolist(), strict=True):
        name = str(train.names[row])
        if config is of_shards:
            number = int(Path(name).stem)
            picture = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        else:
            picture = np.asarray(Image.open(tmp_path / "photos" / "train" / "/".join(Path(name).parts[-2:])))
        picture = picture[1:9, 2:10] if store == "boxes" else picture
        height, width = picture.shape[:2]
        cut = picture[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
        path = write_picture(tmp_path / "cut.png")
        Image.fromarray(cut).save(path)
        np.testing.assert_array_equal(pixels, decode(path, takes), err_msg="as a picture of its own")


class Rank(Fabric):
    """One of several processes, of which the others need not run."""

    def __init__(self, rank: int, ranks: int) -> None:
        super().__init__(accelerator="cpu", devices=1)
        self._place = (rank, ranks)

    @property
    def global_rank(self) -> int:
        return self._place[0]

    @property
    def world_size(self) -> int:
        return self._place[1]


def feed(images: ImageSet, *, changes: AugmentConfig = CROPS, rank: int = 0, ranks: int = 1) -> Feed:
    config = TrainingConfig(batch=8, augment=dataclasses.replace(changes, flip=0.5))
    return Feed(Rank(rank, ranks), images, config, None, by_class=False, seed=5)


def test_batches_are_the_same_after_a_resume_and_on_any_number_of_ranks(tmp_path: Path) -> None:
    train = prepared(tmp_path, of_folder, "lazy", TINY).train
    whole = [batch.pixels for batch in feed(train).batches(0, 5)]
    for resumed, pixels in zip(feed(train).batches(3, 5), whole[3:], strict=True):
        assert torch.equal(resumed.pixels, pixels)
    parts = [[batch.pixels for batch in feed(train, rank=rank, ranks=3).batches(0, 5)] for rank in range(3)]
    for pixels, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat(shares), pixels)
    kept = prepared(tmp_path, of_folder, "kept", TINY).train
    assert all(torch.equal(a.pixels, b) for a, b in zip(feed(kept).batches(0, 5), whole, strict=True))
    uncropped = next(feed(train, changes=UNCHANGED).batches(0, 1)).pixels
    assert not torch.allclose(uncropped, whole[0])


def test_crops_of_prepared_pixels_are_enlarged_by_hand() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    images = ImageSet(pixels, np.zeros(1, np.int64), ("a",), np.zeros(1, np.int64), ("",), ("a",), "f")
    changes = dataclasses.replace(CROPS, crop_from="prepared", crop_area=(0.25, 0.25), crop_aspect=(1.0, 1.0))
    shown = ShownImages(images, changes)
    assert shown.crops(numbers(0.5, 0.5, 1.0, 0.0)) == pytest.approx(QUARTER)
    got = shown[np.array([0]), numbers(0.5, 0.5, 1.0, 0.0)]
    expected = Image.fromarray(pixels[0, :2, 2:]).resize((4, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(got[0], np.asarray(expected))


def test_crops_without_originals_are_refused() -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    images = ImageSet(pixels, np.arange(2), ("a", "b"), np.zeros(2, np.int64), ("",), ("a", "b"), "f")
    with pytest.raises(InputError, match=r"no originals, only pixels.*hetero\.prepare, or set crop_from = 'prepared'"):
        ShownImages(images, CROPS)


def test_changed_copies_are_cropped_from_originals_and_not_again(tmp_path: Path) -> None:
    train = prepared(tmp_path, of_folder, "kept", TINY).train
    changes = dataclasses.replace(CROPS, crop_area=(0.25, 0.25), crop_aspect=(1.0, 1.0))
    copied = with_copies(train, 2, changes, seed=1)
    np.testing.assert_array_equal(copied.images[:12], train.images[:])
    random = random_numbers(12, torch.Generator().manual_seed(1_000_003 + 2))  # of the second copy of each
    assert train.source is not None
    expected = train.source.originals(TINY).cropped(np.arange(12), crop_boxes(random, changes))
    np.testing.assert_array_equal(copied.images[24:], expected)
    other = Preprocessing(4, 4, resize="squash")
    assert copied.source is not None
    again = train.source.originals(other).cropped(np.arange(12), crop_boxes(random, changes))
    np.testing.assert_array_equal(copied.prepared_by(other).images[24:36], again, err_msg="the same part")
    with pytest.raises(InputError, match=r"some of the images are changed copies, which have no originals"):
        feed(copied)
    with pytest.raises(InputError, match="given another part of each picture than the student"):
        prepared_crops = dataclasses.replace(changes, crop_from="prepared")
        with_copies(train, 1, prepared_crops).prepared_by(Preprocessing(4, 4, resize="pad"))


def test_settings_that_cannot_be_are_refused() -> None:
    assert not AugmentConfig().crops and AugmentConfig(crop_area=(0.5, 1.0)).crops
    with pytest.raises(InputError) as caught:
        parse(AugmentConfig, {"crop_area": [0.9, 0.5], "crop_aspect": [0.0, 1.0], "crop_from": "file"}, what="it")
    assert "crop_aspect" in str(caught.value) and "crop_from" in str(caught.value)
    with pytest.raises(InputError, match=r"crop_area: expected the smallest value first, got \[0.9, 0.5\]"):
        parse(AugmentConfig, {"crop_area": [0.9, 0.5]}, what="it")
