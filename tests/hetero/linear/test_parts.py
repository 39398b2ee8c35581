from __future__ import annotations

import pytest
import torch

from hetero.errors import InputError
from hetero.linear.parts import divided
from hetero.linear.solver.linearised import Linearised
from tests.hetero.linear.nets import embedding_model, pictures


@pytest.mark.parametrize("family", ["residual", "edge"])
@pytest.mark.parametrize(
    ("part", "first", "missing"),
    [
        ("neck", "embedding.weight", "backbone."),
        ("last-stage", "backbone.2.", "backbone.1."),
        ("all", "backbone.0.", ""),
    ],
)
def test_both_parts_are_the_model(family, part, first, missing):
    model = embedding_model(family)
    images = pictures(5)
    two = divided(model, part)
    inputs = two.inputs(images.numpy(), batch_size=2)
    upper = Linearised(two.upper)
    assert torch.allclose(upper.origin(inputs), model(images), atol=1e-6)
    names = dict(model.named_parameters())
    assert all(torch.equal(value, names[name]) for name, value in upper.weights.items())
    assert any(name.startswith(first) for name in upper.weights)
    assert not missing or not any(name.startswith(missing) for name in upper.weights)


def test_every_layer_of_a_student_has_products():
    two = divided(embedding_model("edge"), "all")
    model = Linearised(two.upper, dtype=torch.float64)
    inputs = two.inputs(pictures(3).numpy())
    change = torch.randn(model.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-9
    difference = (model.changed(inputs, step * change) - model.changed(inputs, -step * change)) / (2 * step)
    assert torch.allclose(model.forward_product(inputs, change), difference, rtol=1e-4)


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError, match="takes images of 16x16"):
        divided(embedding_model(), "neck").inputs(pictures(2)[:, :8].numpy())


def test_a_backbone_without_stages_has_no_last_one():
    model = embedding_model()
    object.__setattr__(model.config, "family", "efficientnet_lite0")
    with pytest.raises(InputError, match="expected neck or all"):
        divided(model, "last-stage")
