"""A student in the cloud's place, counted by hand: it takes the last of four images for the third."""

from __future__ import annotations

import numpy as np
import pytest

import hetero
from hetero.evaluation.matrix import CompatibilityMatrix
from hetero.evaluation.roles import chance_of_texts, image_to_text, text_to_image
from hetero.metrics.task import RetrievalTask
from hetero.text.described import DescribedImages

AXES = np.eye(5, dtype=np.float32)
CLOUD, STUDENT = AXES[[0, 1, 2, 3]], AXES[[0, 1, 2, 2]]
LABELS = np.array([0, 1, 2, 3])
# Two texts for the first image, none for the second; the last two texts are near the last two images.
TEXTS = DescribedImages(AXES[[0, 0, 2, 3]], np.array([0, 0, 2, 3]), np.array([0, -1, 2, 3]))


def test_texts_find_images_and_images_find_texts() -> None:
    assert text_to_image(CLOUD, TEXTS).per_query("cmc@1")[0].tolist() == [1, 1, 1, 1]
    assert image_to_text(CLOUD, TEXTS).per_query("cmc@1")[0].tolist() == [1, 1, 1]
    # All of its images are at a cosine of zero with the last text, and the first in order comes first.
    assert text_to_image(STUDENT, TEXTS).per_query("cmc@1")[0].tolist() == [1, 1, 1, 0]
    assert image_to_text(STUDENT, TEXTS).per_query("cmc@1")[0].tolist() == [1, 1, 0]
    assert chance_of_texts(TEXTS).tolist() == [0.25] * 4


def test_the_matrix_holds_each_role_with_its_share(tmp_path) -> None:
    tasks = [RetrievalTask("all", np.arange(4), np.arange(4))]
    matrix = hetero.compatibility_matrix(
        {"cloud": CLOUD, "edge": STUDENT, "far": AXES[:4, :3]}, LABELS, tasks, gallery_model="cloud", texts=TEXTS
    )
    roles = {(role.model, role.role): role for role in matrix.roles if role.metric == "cmc@1"}
    # The model of another dimension has no role.
    assert set(roles) == {("edge", "gallery"), ("edge", "text to image"), ("edge", "image to text")}
    gallery, texts, answers = roles.values()
    assert (gallery.value.value, gallery.cloud.value, gallery.queries) == (0.75, 1.0, 4)
    assert (texts.value.value, texts.cloud.value, texts.queries) == (0.75, 1.0, 4)
    assert answers.value.value == pytest.approx(2 / 3) and answers.share is not None
    assert (gallery.chance, texts.chance) == (0.25, 0.25)
    assert answers.chance == pytest.approx((2 + 1 + 1) / 4 / 3)
    matrix.save(tmp_path / "matrix.json")
    assert CompatibilityMatrix.load(tmp_path / "matrix.json").roles == matrix.roles
    alone = hetero.compatibility_matrix({"cloud": CLOUD, "edge": STUDENT}, LABELS, tasks, gallery_model="cloud")
    assert {role.role for role in alone.roles} == {"gallery"}
