"""A text tower fitted to a space: what it learns, and how its penalty is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.text import fitting
from hetero.text.fitting import fit_tower

TEXTS = ("red heart", "blue heart", "red moon", "blue moon", "green star", "green sun")


def vectors() -> np.ndarray:
    """Each word has a direction of its own, and a text the sum of its two."""
    words = dict(zip(sorted({word for text in TEXTS for word in text.split()}), np.eye(8), strict=False))
    summed = np.stack([sum(words[word] for word in text.split()) for text in TEXTS])
    return (summed / np.linalg.norm(summed, axis=1, keepdims=True)).astype(np.float32)


def test_a_text_that_was_never_seen_lies_nearest_to_the_images_of_its_words() -> None:
    seen = [0, 1, 2, 4, 5]
    tower = fit_tower([TEXTS[row] for row in seen], vectors()[seen])
    (found,) = tower.embed(["Blue Moon"])
    assert np.linalg.norm(found) == pytest.approx(1)
    assert int(np.argmax(vectors() @ found)) == 3
    # Of a text without known parts it says what it knows of all: their mean.
    (unknown,) = tower.embed(["zzz"])
    mean = vectors()[seen].mean(axis=0)
    np.testing.assert_allclose(unknown, mean / np.linalg.norm(mean), atol=1e-6)


def test_the_penalty_is_chosen_by_texts_that_are_left_out() -> None:
    """The closed form, beside ridges that are solved without each text in turn."""
    targets, penalties = vectors(), (0.01, 0.3, 10.0)
    tower = fit_tower(TEXTS, targets, penalties)
    rows, centred = fitting._rows(TEXTS, tower.parts, tower.rarity), targets - targets.mean(axis=0, dtype=np.float64)

    def error(penalty: float) -> float:
        errors: list[float] = []
        for left in range(len(TEXTS)):
            rest = np.delete(np.arange(len(TEXTS)), left)
            gram = rows[rest].T @ rows[rest] + penalty * np.eye(rows.shape[1])
            weights = np.linalg.solve(gram, rows[rest].T @ centred[rest])
            errors.append(float(((rows[left] @ weights - centred[left]) ** 2).sum()))
        return float(np.mean(errors))

    values, axes = np.linalg.eigh(rows @ rows.T)
    for penalty in penalties:
        assert fitting._left_out_error(values, axes, axes.T @ centred, penalty) == pytest.approx(error(penalty))
    assert tower.penalty == min(penalties, key=error)
    solved = np.linalg.solve(rows.T @ rows + tower.penalty * np.eye(rows.shape[1]), rows.T @ centred)
    np.testing.assert_allclose(tower.weights, solved, atol=1e-9)


def test_one_text_is_too_few() -> None:
    with pytest.raises(InputError, match="at least 2 classes or images to fit a text tower, got 1"):
        fit_tower(["alone"], np.ones((1, 3), np.float32))
