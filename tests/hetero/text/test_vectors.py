"""Text vectors from files, and what each text describes, on sets of a few images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import hetero
from hetero.data.images import ImageSet
from hetero.metrics.task import RetrievalTask
from hetero.space import TextSide
from hetero.text.vectors import TextVectors

SPACE = hetero.EmbeddingSpace.define(defined_by="0" * 64, name="clip", version="1", dimension=3)
AXES = np.eye(3, dtype=np.float32)


def images(labels: list[int], classes: tuple[str, ...], folder: str) -> ImageSet:
    count = len(labels)
    return ImageSet(
        images=np.zeros((count, 4, 4, 3), np.uint8),
        labels=np.array(labels, np.int64),
        classes=classes,
        views=np.zeros(count, np.int64),
        view_names=("photo",),
        names=tuple(f"{folder}/{row}.png" for row in range(count)),
        fingerprint=folder,
    )


TRAIN = images([0, 0, 1], ("cat", "dog"), "train")
TEST = images([0, 1, 1, 2], ("dog", "owl", "yak"), "test")
DATA = hetero.Dataset(
    "toy", TRAIN, images([], (), "validation"), TEST, (), (RetrievalTask("all", np.arange(4), np.arange(4)),), "toy"
)


def written(
    folder: Path, texts: list[str], table: str = "", *, vectors: np.ndarray = AXES, space: hetero.EmbeddingSpace = SPACE
) -> hetero.TextConfig:
    hetero.save_embeddings(folder / "texts.safetensors", 2 * vectors[: len(texts)], texts, space)
    (folder / "texts.csv").write_text(table)
    return hetero.TextConfig(
        vectors=str(folder / "texts.safetensors"), describes=str(folder / "texts.csv") if table else ""
    )


def test_a_text_describes_the_class_of_its_name(tmp_path: Path) -> None:
    texts = TextVectors.load(written(tmp_path, ["owl", "cat", "dog"]), SPACE)
    np.testing.assert_array_equal(texts.vectors, AXES)  # of length one
    test = texts.of(TEST)
    # cat describes no test image, and no text describes the yak, the last image.
    assert test.labels.tolist() == [1, 0] and test.image_labels.tolist() == [0, 1, 1, -1]
    np.testing.assert_array_equal(test.vectors, AXES[[0, 2]])
    one = test.among(np.array([3, 1]))
    assert one.labels.tolist() == [1] and one.image_labels.tolist() == [-1, 1]


def test_a_table_names_classes_in_other_words_or_single_images(tmp_path: Path) -> None:
    table = "text,label\na wise owl,owl\na bird at night,owl\na hound,dog\n"
    of_classes = TextVectors.load(written(tmp_path, ["a wise owl", "a hound", "a bird at night"], table), SPACE)
    assert of_classes.of(TEST).labels.tolist() == [1, 0, 1]
    table = "text,path\nfirst,test/0.png\nalso first,test/0.png\nlast,test/3.png\n"
    of_images = TextVectors.load(written(tmp_path, ["first", "also first", "last"], table), SPACE)
    assert of_images.of(TEST).labels.tolist() == [0, 0, 1]
    assert of_images.of(TEST).image_labels.tolist() == [0, -1, -1, 1]
    overlapping = "text,path\nfirst,test/0.png\nboth,test/0.png\nboth,test/3.png\n"
    with pytest.raises(hetero.InputError, match="'both' describes 'test/3.png'"):
        TextVectors.load(written(tmp_path, ["first", "both", "last"], overlapping), SPACE).of(TEST)


def test_a_student_learns_from_no_text_that_only_measures_it(tmp_path: Path) -> None:
    texts = TextVectors.load(written(tmp_path, ["owl", "cat", "dog"]), SPACE)
    # cat and dog describe training images, owl test images alone.
    np.testing.assert_array_equal(texts.bank(DATA), AXES[1:])
    free = TextVectors.load(written(tmp_path, ["owl", "a photo of something"]), SPACE)
    np.testing.assert_array_equal(free.bank(DATA), AXES[1:2])
    with pytest.raises(hetero.InputError, match="each of the 1 texts describes validation or test images alone"):
        TextVectors.load(written(tmp_path, ["owl"]), SPACE).bank(DATA)


def test_prototypes_are_the_mean_texts_of_classes(tmp_path: Path) -> None:
    table = "text,label\ncat,cat\nkitten,cat\nhound,dog\n"
    prototypes = TextVectors.load(written(tmp_path, ["cat", "kitten", "hound"], table), SPACE).prototypes(TRAIN)
    np.testing.assert_allclose(prototypes, [[0.5**0.5, 0.5**0.5, 0], [0, 0, 1]], rtol=1e-6)
    with pytest.raises(hetero.InputError, match="1 of 2 training classes have no text"):
        TextVectors.load(written(tmp_path, ["cat"]), SPACE).prototypes(TRAIN)


def test_the_contract_names_the_tower_and_the_gap(tmp_path: Path) -> None:
    config = written(tmp_path, ["owl", "cat"])
    digest = TextVectors.load(config, SPACE).tower
    named = TextVectors.load(dataclasses.replace(config, tower="ViT-B/32", temperature=0.01), SPACE)
    assert len(digest) == 64 and named.tower == "ViT-B/32"
    # The texts' mean is (1/2, 1/2, 0), the images' is (0, 0, 1).
    side = named.side(AXES[2:])
    assert (side.tower, side.temperature, side.gap) == ("ViT-B/32", 0.01, pytest.approx(1.5**0.5))
    space = dataclasses.replace(SPACE, text=TextSide("ViT-B/32"))
    space.save(tmp_path / "space.json")
    assert hetero.EmbeddingSpace.load(tmp_path / "space.json") == space and "text" not in SPACE.to_dict()
    stated = written(tmp_path, ["owl"], space=space)
    assert TextVectors.load(stated, SPACE).tower == "ViT-B/32"
    with pytest.raises(hetero.InputError, match="expected vectors of the text tower ViT-L/14, got those of ViT-B/32"):
        TextVectors.load(dataclasses.replace(stated, tower="ViT-L/14"), SPACE)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("text,label\nbat,owl\n", "'bat' has no vector"),
        ("text,label\nowl,owl\nowl,dog\n", "'owl' has several classes, owl, dog"),
        ("text,label\nowl,\n", "'owl' describes nothing: its label is empty"),
        ("text,label\n", "it has no row"),
        ('text,label\nowl,owl\n"owl,dog\n', "is not a CSV file: unexpected end of data"),
        (f"text,label\nowl,{'o' * 200_000}\n", "is not a CSV file: field larger than field limit"),
        ("text,class\nowl,owl\n", "expected the column text and label, path or name, got text, class"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(hetero.InputError, match=message):
        TextVectors.load(written(tmp_path, ["owl"], table), None)


def test_other_spaces_and_names_that_the_data_lacks_are_refused(tmp_path: Path) -> None:
    other = hetero.EmbeddingSpace.define(defined_by="1" * 64, name="siglip", version="1", dimension=3)
    with pytest.raises(hetero.SpaceMismatchError, match=r"the texts in texts\.safetensors and the images of clip"):
        TextVectors.load(written(tmp_path, ["owl"], space=other), SPACE)
    np.save(tmp_path / "wide.npy", np.eye(4, dtype=np.float32))
    (tmp_path / "wide.txt").write_text("a\nb\nc\nd\n")
    with pytest.raises(hetero.InputError, match="vectors of 4 dimensions and the images of clip of 3"):
        TextVectors.load(hetero.TextConfig(vectors=str(tmp_path / "wide.npy")), SPACE)
    with pytest.raises(hetero.InputError, match="expected a file of text vectors at .* found a folder"):
        TextVectors.load(hetero.TextConfig(vectors=str(tmp_path)), SPACE)
    texts = TextVectors.load(written(tmp_path, ["owl"], "text,label\nowl,eagle\n"), SPACE)
    with pytest.raises(hetero.InputError, match="describe 1 of 1 classes that are not in the data") as caught:
        texts.require_known(DATA)
    assert "eagle" in str(caught.value)


def test_a_recipe_names_the_file_alone_or_a_table() -> None:
    from hetero.schema import parse

    whole = parse(hetero.CloudConfig, {"text": {"vectors": "t.npy", "tower": "x"}}, what="cloud")
    assert whole.text == hetero.TextConfig("t.npy", tower="x")
    assert parse(hetero.CloudConfig, {"text": "t.npy"}, what="cloud").text == hetero.TextConfig("t.npy")
