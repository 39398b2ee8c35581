"""``hetero retrieval make``: the sets that an export takes, from a model or its embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hetero
from export.bundle.goldens import RetrievalSet
from hetero.cli.main import main
from hetero.data.embeddings.file import save_embeddings
from hetero.models.directory import save_model
from hetero.models.stage import Stage
from hetero.recognition import kinds
from hetero.recognition.recognise import recognised
from tests.hetero.data.pictures import write_classes, write_flat

SPACE = hetero.EmbeddingSpace.define(defined_by="ab", name="own", version="1", dimension=4)
CLASSES = {"a": 4, "b": 4}


def write_model(directory: Path, side: int) -> Path:
    config = hetero.ModelConfig(family="residual", dimension=4, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    model = hetero.EmbeddingModel(directory.name, config, hetero.Preprocessing(height=side, width=side))
    model.space = SPACE
    save_model(directory, model, {})
    return directory


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for start, split in ((0, "train"), (20, "validation"), (40, "test")):
        write_classes(tmp_path / "photos" / split, CLASSES, start)
    write_model(tmp_path / "cloud", 16)
    write_model(tmp_path / "edge", 8)
    return tmp_path


def made(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["retrieval", "make", *words])
    return int(ended.value.code or 0)


def test_a_model_embeds_test_photos_to_verify_with_and_others_to_calibrate_with(place: Path) -> None:
    assert made("cloud", "photos", "out.safetensors", "--student", "edge", "--calibration", "ranges.safetensors") == 0
    shown, ranges = RetrievalSet.load(Path("out.safetensors")), RetrievalSet.load(Path("ranges.safetensors"))
    assert shown.images.shape == (8, 8, 8, 3) and shown.space == SPACE == ranges.space
    assert set(shown.names) == {f"test/{label}/{number:03}.png" for label in "ab" for number in range(4)}
    assert len(shown.originals) == 8, "files with which a target proves its own decoding"
    assert len(ranges.images) == 16, "validation and training photos"

    model = hetero.load_model(place / "cloud")
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path="photos"), model.preprocessing)
    vectors = dict(zip(photos.test.names, hetero.embed_images(model, photos.test.images), strict=True))
    np.testing.assert_allclose(shown.cloud_embeddings, [vectors[name] for name in shown.names], atol=1e-6)
    assert recognised(Path("out.safetensors")) == kinds.RETRIEVAL
    assert recognised(Path("ranges.safetensors")) == kinds.CALIBRATION


def test_embeddings_serve_as_well_and_the_size_may_be_said(place: Path) -> None:
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path="photos"), hetero.Preprocessing(8, 8))
    names = [name for part in (photos.validation, photos.test) for name in part.names]
    vectors = np.random.default_rng(0).normal(size=(len(names), 4)).astype(np.float32)
    save_embeddings(place / "vectors.safetensors", vectors, names, SPACE)
    words = ("vectors.safetensors", "photos", "out.safetensors", "--calibration", "ranges.safetensors", "--size", "24")
    assert made(*words, "--queries", "2") == 0
    shown = RetrievalSet.load(Path("out.safetensors"))
    assert shown.images.shape[1:] == (24, 24, 3) and sum(len(task.query) for task in shown.tasks) == 2
    own = dict(zip(names, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))
    np.testing.assert_allclose(shown.cloud_embeddings, [own[name] for name in shown.names], atol=1e-6)
    assert len(RetrievalSet.load(Path("ranges.safetensors")).images) == 8, "the validation photos alone have vectors"


def test_texts_of_test_photos_become_golden_texts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path="photos"), hetero.Preprocessing(8, 8))
    vectors = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    save_embeddings(place / "vectors.safetensors", vectors, photos.test.names, SPACE)
    save_embeddings(place / "texts.safetensors", vectors[:3], ["an a", "of type b", "unseen"], SPACE)
    (place / "texts.csv").write_text("text,label\nan a,a\nof type b,b\n")
    words = ("vectors.safetensors", "photos", "out.safetensors", "--size", "8", "--text", "texts.safetensors")
    assert made(*words, "--text-describes", "texts.csv", "--text-tower", "mine", "--text-temperature", "0.01") == 0
    assert "; 2 texts describe them" in capsys.readouterr().out
    shown = RetrievalSet.load(Path("out.safetensors"))
    assert shown.texts is not None and shown.texts.texts == ("an a", "of type b")
    assert shown.space.text is not None
    assert (shown.space.text.tower, shown.space.text.temperature) == ("mine", 0.01)
    np.testing.assert_array_equal(shown.texts.image_labels, shown.labels)
    # Classes are called a and b, so that none is called as a text is.
    assert made(*words) == 2
    assert "none of the texts describes any of the 8 test photos" in capsys.readouterr().err


def test_photos_without_labels_are_sought_by_altered_copies(place: Path) -> None:
    write_flat(place / "flat", 20)
    assert made("cloud", "flat", "out.safetensors", "--calibration", "ranges.safetensors") == 0
    shown = RetrievalSet.load(Path("out.safetensors"))
    assert [task.name for task in shown.tasks] == ["altered>original"] and shown.images.shape[1:] == (16, 16, 3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("cloud photos out.txt", "expected the name of a .safetensors file to write, got out.txt"),
        ("cloud photos photos", "expected the name of a .safetensors file to write, got photos"),
        ("cloud photos out.safetensors --size 8 --student edge", "expected --student or --size, got both"),
        ("vectors.npy photos out.safetensors", "expected --student MODEL or --size PIXELS"),
        ("cloud photos out.safetensors --text-tower ViT", "--text-tower: expected --text FILE"),
    ],
)
def test_mistakes_are_told_before_a_photo_is_opened(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    np.save(place / "vectors.npy", np.ones((1, 4), np.float32))
    assert made(*words.split()) == 2
    assert told in capsys.readouterr().err and not (place / "cache").exists()
