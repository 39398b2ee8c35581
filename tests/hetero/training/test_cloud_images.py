"""A cloud model sees images as its own preprocessing says, whatever size the student takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import nn

from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import with_copies
from hetero.data.config import DataConfig
from hetero.data.embeddings.file import aligned, load_embeddings
from hetero.data.images import Dataset
from hetero.data.prepare import prepare
from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.embed import embed_images
from hetero.models.external.embedders import ModuleEmbedder, embed_all
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.draft import parse_recipe
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from hetero.training.batches.feed import Feed
from hetero.training.config import TrainingConfig
from hetero.training.loop.module import CloudTensors
from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS, CloudReference
from hetero.training.reference.live import LiveCloud

STUDENT = Preprocessing(height=16, width=16)
CLOUD = Preprocessing(height=48, width=48, resize="crop", filter="bicubic")
WIDTH, HEIGHT = 60, 44
CHANGES = AugmentConfig(
    rotation=30.0, scale=(0.7, 1.3), shift=0.15, flip=0.5, erase=0.5, grey=0.0, brightness=0.0, contrast=0.0
)


class Corners(nn.Module):
    """Any size in, so that a wrong one goes unnoticed: means of four blocks of pixels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def write_photos(place: Path, picture: np.ndarray | None = None) -> DataConfig:
    """Pictures that are not square, so that resizing them in other ways gives other pictures."""
    random = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in "abc":
            (place / "photos" / split / label).mkdir(parents=True)
            for index in range(3):
                pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) if picture is None else picture
                Image.fromarray(pixels).save(place / "photos" / split / label / f"{index}.png")
    return DataConfig(kind="folder", path=str(place / "photos"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def photos(config: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(config, STUDENT, cache=tmp_path_factory.mktemp("cache"))


def test_a_cloud_of_another_size_embeds_the_images_as_it_takes_them(
    config: DataConfig, photos: Dataset, tmp_path: Path
) -> None:
    embedder = ModuleEmbedder(Corners(), CLOUD, takes="scaled")
    cloud = CloudReference.from_embedder(embedder, photos)
    own = prepare(config, CLOUD, cache=tmp_path)  # as the gallery was made
    np.testing.assert_array_equal(cloud.train, embed_all(embedder, own.train.images))
    assert cloud.validation is not None
    np.testing.assert_array_equal(cloud.validation, embed_all(embedder, own.validation.images))
    assert cloud.space.preprocessing == CLOUD.digest
    assert photos.train.images.shape[1:] == (16, 16, 3), "the student keeps its own"


def test_pixels_alone_of_another_size_are_refused(photos: Dataset) -> None:
    embedder = ModuleEmbedder(Corners(), CLOUD, takes="scaled")
    only_pixels = dataclasses.replace(photos, train=dataclasses.replace(photos.train, source=None, preprocessing=None))
    with pytest.raises(InputError, match=r"takes images of 48x48 .*these are of 16x16.*hetero\.prepare"):
        CloudReference.from_embedder(embedder, only_pixels)
    with pytest.raises(InputError, match="takes images of 48x48, got 16x16"):
        embed_all(embedder, photos.train.images)


def test_pixels_of_the_same_size_that_were_fitted_otherwise_are_refused(photos: Dataset) -> None:
    padded = dataclasses.replace(photos.train, source=None)
    with pytest.raises(InputError, match=r"16x16 \(crop, bilinear\), these are of 16x16 \(pad on 255, bilinear\)"):
        padded.prepared_by(dataclasses.replace(STUDENT, resize="crop"))


@pytest.mark.parametrize(
    "cloud",
    [Preprocessing(48, 48), CLOUD, Preprocessing(48, 48, resize="squash"), Preprocessing(40, 64)],
    ids=lambda one: one.in_words,
)
@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
def test_copies_show_both_models_the_same_changed_picture(
    tmp_path: Path, cloud: Preprocessing, resize: Literal["pad", "crop", "squash"]
) -> None:
    """The pictures' colours are their coordinates: a point of a copy tells which point of the picture came there."""
    student = Preprocessing(32, 32, resize=resize)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([4 * across, 5 * down, 0 * down], axis=-1).astype(np.uint8)
    train = prepare(write_photos(tmp_path, picture), student, cache=tmp_path / "cache").train
    seen = with_copies(train, 4, dataclasses.replace(CHANGES, erase=0.0), seed=3)
    other = seen.prepared_by(cloud)
    assert other.names == seen.names and other.images.shape == (45, cloud.height, cloud.width, 3)
    inside, mirrored = 0, 0
    for row in range(9, 45):
        both = [_points(one.images[np.array([row])][0], way) for one, way in ((seen, student), (other, cloud))]
        known = (both[0][..., 2] < 1) & (both[1][..., 2] < 1)  # the white ground came nowhere near
        moved = np.abs(both[0] - both[1])[known]
        assert (moved[:, 0] / 4 < 1.5).all() and (moved[:, 1] / 5 < 1.5).all(), "pixels of 60 x 44"
        inside += int(known.sum())
        mirrored += int(both[0][4, 1, 0] > both[0][4, -2, 0])
    assert inside > 36 * 60 and 5 < mirrored < 31, "and it moved and mirrored them"


@pytest.mark.parametrize("cloud", [Preprocessing(48, 48), CLOUD, Preprocessing(40, 64)], ids=lambda one: one.in_words)
def test_copies_lose_the_same_part_of_the_picture(tmp_path: Path, cloud: Preprocessing) -> None:
    student = Preprocessing(32, 32, pad_value=0)
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    train = prepare(write_photos(tmp_path, black), student, cache=tmp_path / "cache").train
    still = {"rotation": 0.0, "scale": (1.0, 1.0), "shift": 0.0, "grey": 0.0, "brightness": 0.0, "contrast": 0.0}
    seen = with_copies(train, 3, AugmentConfig(**still, erase=1.0, erase_area=(0.1, 0.2)), seed=1)  # pyright: ignore[reportArgumentType]
    other = seen.prepared_by(dataclasses.replace(cloud, pad_value=0))
    differs, lost = 0.0, 0.0
    for row in range(9, 36):
        both = [_points(one.images[np.array([row])][0], way)[..., 0] for one, way in ((seen, student), (other, cloud))]
        differs += float(np.abs(both[0] - both[1]).mean() / 255 / 27)
        lost += float(both[0].mean() / 255 / 27)
    assert lost > 0.05 and differs < lost / 5


def _points(pixels: np.ndarray, way: Preprocessing) -> np.ndarray:
    """Colours at 12 x 9 points in the middle of a 60 x 44 picture, read from a model's input."""
    target = np.array([way.width, way.height])
    scales = target / (WIDTH, HEIGHT)
    scale = {"squash": scales, "pad": np.full(2, scales.min()), "crop": np.full(2, scales.max())}[way.resize]
    across, down = np.linspace(-20, 20, 12) * scale[0], np.linspace(-14, 14, 9) * scale[1]
    grid = np.stack(np.meshgrid(2 * across / way.width, 2 * down / way.height), -1)
    image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()
    read = nn.functional.grid_sample(image, torch.from_numpy(grid)[None].float(), align_corners=False)
    return read[0].permute(1, 2, 0).numpy()


RECIPE = {
    "name": "two-sizes",
    "preprocessing": {"height": 16, "width": 16},
    "cloud": {
        "preprocessing": {"height": 24, "width": 32, "resize": "crop"},
        "copies": 1,
        "model": {"family": "residual", "dimension": 8, "stem_channels": 8, "stages": [{"channels": 8, "stride": 2}]},
        "training": {"steps": 2, "classes_per_batch": 3, "images_per_class": 2, "validate_every": 2},
    },
    "students": [
        {
            "name": "edge",
            "model": {"stem_channels": 8, "stages": [{"channels": 8, "stride": 2}]},
            "training": {"steps": 2, "classes_per_batch": 3, "images_per_class": 2, "validate_every": 2},
        }
    ],
}


def test_a_recipe_gives_the_cloud_a_preprocessing_of_its_own(
    config: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    value = RECIPE | {"data": {"kind": "folder", "path": config.path}}
    recipe = parse_recipe(value, what="it")
    assert run_until(recipe, tmp_path / "run", None, "evaluate", True) == 0
    takes = Preprocessing(24, 32, resize="crop")
    cloud, edge = load_model(tmp_path / "run" / "cloud"), load_model(tmp_path / "run" / "students" / "edge")
    assert cloud.preprocessing == takes and edge.preprocessing == STUDENT
    assert edge.space is not None and edge.space.preprocessing == takes.digest
    stored = load_embeddings(tmp_path / "run" / "cloud" / CLOUD_EMBEDDINGS)
    own = prepare(config, takes, cache=tmp_path / "other").test
    np.testing.assert_allclose(aligned(stored, own), embed_images(cloud, own.images), atol=1e-6)
    assert sum(name.endswith("#1") for name in stored.names) == 9
    assert EmbeddingSpace.load(tmp_path / "run" / "cloud" / "space.json") == cloud.space


@pytest.mark.parametrize("area", [(1.0, 1.0), (0.3, 0.6)])
def test_a_live_cloud_sees_the_students_pictures_as_it_takes_them(tmp_path: Path, area: tuple[float, float]) -> None:
    """The pictures' colours are their coordinates: the two models' changed images tell where each point came from."""
    student = Preprocessing(32, 32, resize="crop")
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([4 * across, 5 * down, 0 * down], axis=-1).astype(np.uint8)
    train = prepare(write_photos(tmp_path, picture), student, cache=tmp_path / "cache").train
    shown: list[np.ndarray] = []

    class Watching(ModuleEmbedder):
        def embed(self, images: np.ndarray) -> np.ndarray:
            shown.append(images)
            return super().embed(images)

    takes = Preprocessing(40, 64)
    cloud = LiveCloud.of(Watching(Corners(), takes, takes="scaled"), 1.0, train)
    tensors = CloudTensors(torch.rand(9, 12), torch.arange(9) % 3, torch.arange(9), live=cloud)
    changes = dataclasses.replace(CHANGES, erase=0.0, crop_area=area, crop_aspect=(1.0, 1.0))
    training = TrainingConfig(batch=9, augment=changes)
    feed = Feed(Fabric(accelerator="cpu", devices=1), train, training, tensors, by_class=False, seed=3)
    known, moved = 0, list[float]()
    for batch in feed.batches(0, 3):
        ours = (batch.pixels * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for one, other in zip(ours, shown[-1], strict=True):
            both = [_points(one, student), _points(other, takes)]
            inside = (both[0][..., 2] < 1) & (both[1][..., 2] < 1)
            apart = np.abs(both[0] - both[1])[inside]
            assert (apart[:, 0] / 4 < 1.5).all() and (apart[:, 1] / 5 < 1.5).all(), "pixels of 60 x 44"
            known += int(inside.sum())
            moved.append(float(both[0][4, 5, 0]))
    assert len(shown) == 3 and known > 27 * 40 and np.std(moved) > 10, "and it moved them"


@pytest.mark.parametrize("beside", [{"live": True}, {"refresh": 0.5}])
def test_a_recipe_trains_beside_a_live_cloud_of_another_size(
    config: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: dict[str, object]
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    students = [RECIPE["students"][0] | beside]  # pyright: ignore[reportArgumentType, reportIndexIssue, reportOperatorIssue]
    value = RECIPE | {"data": {"kind": "folder", "path": config.path}, "students": students}
    assert run_until(parse_recipe(value, what="it"), tmp_path / "run", None, "students", True) == 0
    edge = load_model(tmp_path / "run" / "students" / "edge")
    assert edge.space == EmbeddingSpace.load(tmp_path / "run" / "cloud" / "space.json")
