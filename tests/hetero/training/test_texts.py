"""Texts in training: what a student is given of them, and which stages they concern."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import hetero
from hetero.errors import InputError
from hetero.objectives.head import Head
from hetero.pipeline.context import Context
from hetero.pipeline.draft import built_in, parse_recipe
from hetero.pipeline.stages import stages_of
from hetero.text.vectors import TextVectors
from hetero.training.loop.module import TrainingModule
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.cloud_tensors import cloud_tensors
from tests.hetero.text.test_vectors import AXES, DATA, SPACE, written

TERM = hetero.ObjectiveConfig("text_affinity", temperature=1.0)


def test_a_batch_holds_the_texts_that_may_be_learnt_from(tmp_path: Path) -> None:
    texts = TextVectors.load(written(tmp_path, ["owl", "cat", "dog"]), SPACE)
    plain = CloudReference(SPACE, AXES[[0, 0, 1]], AXES[:2], None)
    reference = plain.with_texts(texts, DATA, prototypes=True)
    np.testing.assert_array_equal(reference.prototypes, AXES[1:])  # the texts cat and dog
    assert len({plain.identity, reference.identity, plain.with_texts(texts, DATA).identity}) == 3
    tensors = cloud_tensors(reference, DATA, who="edge", seed=0)
    assert tensors.texts is not None
    np.testing.assert_array_equal(tensors.texts, AXES[1:])

    class Fixed(torch.nn.Module):
        def embed(self, _pixels: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(AXES[[1, 1, 2]])

    head = Head(2, 3, "none", 0.0, 1.0, cloud_prototypes=torch.from_numpy(plain.prototypes))
    module = TrainingModule.of(Fixed(), (TERM,), head)
    arguments = (torch.zeros(3, 3, 1, 1), torch.tensor([0, 0, 1]), torch.arange(3))
    total, _ = module(*arguments, tensors)
    # The cloud's vectors have a cosine of 0 with both texts but for the last, which has 1 with the first.
    student, cloud = AXES[[1, 1, 2]] @ AXES[1:].T, AXES[[0, 0, 1]] @ AXES[1:].T

    def divergence(theirs: np.ndarray, ours: np.ndarray) -> float:
        p, q = (np.exp(side) / np.exp(side).sum(axis=1, keepdims=True) for side in (theirs, ours))
        return float((p * np.log(p / q)).sum(axis=1).mean())

    expected = (divergence(cloud, student) + divergence(cloud.T, student.T)) / 2
    assert float(total) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match="needs vectors of texts"):
        module(*arguments, cloud_tensors(plain, DATA, who="edge", seed=0))


def test_other_texts_concern_only_those_that_learn_from_them_or_are_measured_by_them(tmp_path: Path) -> None:
    recipe = built_in("demo")
    students = tuple(
        dataclasses.replace(one, objectives=(*one.objectives, TERM)) if one.name == "edge-s" else one
        for one in recipe.students
    )

    def identities(text: str, *, prototypes: bool = False) -> dict[str, str]:
        (tmp_path / "texts.npy").write_text(text)
        config = hetero.TextConfig(str(tmp_path / "texts.npy"), prototypes=prototypes)
        cloud = dataclasses.replace(recipe.cloud, text=config)
        context = Context(dataclasses.replace(recipe, cloud=cloud, students=students), tmp_path)
        return {stage.name: stage.identity for _, stage in stages_of(context)}

    before, after = identities("a"), identities("b")
    moved = {name for name in before if before[name] != after[name]}
    assert {"student edge-s", "export edge-s", "export edge-m", "evaluate"} <= moved
    assert moved.isdisjoint({"data", "cloud", "student edge-m", "student control"})
    frozen = identities("b", prototypes=True)
    assert frozen["student edge-m"] != after["student edge-m"] and frozen["student control"] == after["student control"]


def test_a_recipe_that_learns_from_texts_names_them() -> None:
    recipe = {
        "name": "x",
        "data": {"kind": "emoji"},
        "preprocessing": {"height": 32, "width": 32},
        "students": [{"name": "edge", "objectives": [{"name": "cloud_regression"}, {"name": "text_affinity"}]}],
    }
    with pytest.raises(InputError, match=r"text_affinity needs vectors of texts: name their file as cloud\.text"):
        parse_recipe(recipe, what="x")
    assert parse_recipe({**recipe, "cloud": {"text": "texts.npy"}}, what="x").cloud.text == hetero.TextConfig(
        "texts.npy"
    )
