"""Whatever reads a file of embeddings reads a folder of shards, with the same result."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import hetero
from device_tests.evidence.gallery import OwnGallery
from hetero.cli.main import main
from hetero.data.embeddings.file import load_embeddings
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.errors import IntegrityError
from hetero.geometry import sources
from hetero.linear.gallery import OldGallery
from hetero.pipeline.context import Context
from hetero.pipeline.draft import draft
from hetero.pipeline.external_cloud import external_cloud
from hetero.pipeline.preflight.checks import recipe_preflight
from hetero.pipeline.quick.cloud_table import Takes, cloud_table
from hetero.pipeline.stages import _cloud_files
from hetero.pipeline.vectors import model_vectors
from hetero.space import EmbeddingSpace
from hetero.training.reference.cloud_reference import CloudReference, cloud_embeddings
from hetero.upgrade.backfill.inputs import read_inputs
from hetero.upgrade.earlier import EarlierModel
from tests.hetero.data.pictures import write_classes
from tests.hetero.data.sharded import write_folder
from tests.hetero.upgrade.backfill.test_commands import GALLERY, NEW, OLD, QUERIES
from tests.hetero.upgrade.backfill.upgraded import upgraded

SPACE = EmbeddingSpace.define(defined_by="c", name="cloud", version="1", dimension=8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for split in ("train", "validation", "test"):
        write_classes(tmp_path / "photos" / split, {"a": 4, "b": 3})
    return tmp_path


@pytest.fixture
def both(photos: Path) -> tuple[Path, Path]:
    """The same vectors in a file and in a folder."""
    names = sorted(path.relative_to(photos / "photos").as_posix() for path in (photos / "photos").rglob("*.png"))
    vectors = np.random.default_rng(0).normal(size=(len(names), 8)).astype(np.float32)
    hetero.save_embeddings(photos / "cloud.safetensors", vectors, names, SPACE)
    return photos / "cloud.safetensors", write_folder(photos / "cloud", vectors, names, SPACE)


def value(embeddings: str) -> dict[str, object]:
    return {
        "name": "sharded",
        "data": {"kind": "folder", "path": "photos"},
        "preprocessing": {"height": 16, "width": 16},
        "cloud": {"embeddings": embeddings},
        "students": [{"name": "edge", "max_macs": 1_000_000}],
    }


def test_a_run_takes_shards_for_its_cloud_without_copying_them(
    both: tuple[Path, Path], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(photos / "cache"))
    recipes = [draft(value(path.name), what="it", folder=photos).require_sound() for path in both]
    assert [recipe_preflight(recipe) for recipe in recipes] == [[], []]
    assert len({_cloud_files(recipe)[0] for recipe in recipes}) == 2
    references: list[CloudReference] = []
    for recipe, run in zip(recipes, (photos / "file", photos / "shards"), strict=True):
        context = Context(recipe, run)
        context.cloud.mkdir(parents=True)
        external_cloud(recipe, context.dataset, context.cloud)
        references.append(CloudReference.from_directory(context.cloud, context.dataset))
        (vectors,) = model_vectors(context, run / "evaluation").values()
        assert vectors.shape == (7, 8)
    linked = cloud_embeddings(photos / "shards" / "cloud")
    assert linked.name == "embeddings"
    assert all((linked / path.name).samefile(path) for path in both[1].iterdir())
    assert np.array_equal(references[0].train, references[1].train[:])
    assert np.array_equal(references[0].validation, references[1].validation)


def test_missing_images_are_told_before_a_run(both: tuple[Path, Path], photos: Path) -> None:
    write_classes(photos / "photos" / "test", {"c": 2})
    asked = draft(value("cloud"), what="it", folder=photos).require_sound()
    assert any("cloud.embeddings: 2 of 23 images have no embedding" in line for line in recipe_preflight(asked))
    gone = draft(value("nothing"), what="it", folder=photos).require_sound()
    assert any("cloud.embeddings: expected a file at" in line for line in recipe_preflight(gone))


def test_hetero_student_takes_shards_for_a_cloud(both: tuple[Path, Path]) -> None:
    assert cloud_table(str(both[1]), Takes()) == {"embeddings": str(both[1])}


def test_galleries_and_old_models_are_read_from_shards(both: tuple[Path, Path]) -> None:
    one, other = (OldGallery.load(path) for path in both)
    assert np.array_equal(one.vectors, other.vectors) and one.names == other.names and one.classes == other.classes
    one, other = (OwnGallery.read(path) for path in both)
    assert np.array_equal(one.vectors, other.vectors) and one.names == other.names and one.sha256 != other.sha256
    assert [EarlierModel.open(path).space for path in both] == [SPACE, SPACE]
    shard = next(both[1].glob("*.parquet"))
    data = bytearray(shard.read_bytes())
    place = EmbeddingShards(both[1])._shards[0].offset  # pyright: ignore[reportPrivateUsage]
    data[place + 1] ^= 1
    shard.unlink()  # it may have a second name elsewhere
    shard.write_bytes(data)
    with pytest.raises(IntegrityError, match="its vectors are not those that were written"):
        OwnGallery.read(both[1])


def test_a_space_is_checked_from_shards(
    both: tuple[Path, Path], photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []
    for path in both:
        with pytest.raises(SystemExit) as ended:
            main(["space", "check", str(path), "--data", str(photos / "photos")])
        assert ended.value.code == 0
        pages.append(capsys.readouterr().out.replace("cloud.safetensors", "cloud"))
    assert pages[0] == pages[1]
    monkeypatch.setattr(sources, "MOST_READ", 9)
    sample = sources.vectors_of(both[1], None)
    assert sample.name == "cloud, 9 of 21 vectors" and len(sample.vectors) == 9


def test_a_backfill_is_planned_from_shards(tmp_path: Path) -> None:
    backfill = upgraded()
    parts = {"old": (backfill.old, GALLERY, OLD), "new": (backfill.new, GALLERY, NEW)}
    parts["queries"] = (backfill.query, QUERIES, NEW)
    for name, (vectors, names, space) in parts.items():
        hetero.save_embeddings(tmp_path / f"{name}.safetensors", vectors, names, space)
        write_folder(tmp_path / name, vectors, names, space)
    files = read_inputs(*(tmp_path / f"{name}.safetensors" for name in parts), None)
    shards = read_inputs(*(tmp_path / name for name in parts), None)
    assert files.names == shards.names and files.compatibility == shards.compatibility == "measured"
    for field in dataclasses.fields(files.backfill):
        pair = getattr(files.backfill, field.name), getattr(shards.backfill, field.name)
        assert pair[0] is pair[1] or np.array_equal(*pair), field.name


def test_a_student_searches_a_gallery_of_shards(both: tuple[Path, Path]) -> None:
    one, other = (load_embeddings(path) for path in both)
    gallery = hetero.Gallery(SPACE)
    assert other.embeddings.dtype == np.float32 and np.array_equal(one.embeddings, other.embeddings)
    vectors = other.embeddings / np.linalg.norm(other.embeddings, axis=1, keepdims=True)
    gallery.add(vectors, other.names, other.space)
    assert len(gallery) == 21
