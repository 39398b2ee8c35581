"""Focal weights, both distances and ELODI by hand on two or three classes."""

import math

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.elodi import Elodi, logit_difference_inhibition
from hetero.objectives.focal_distillation import (
    FocalDivergence,
    FocalLogitMatching,
    focal_weights,
    logit_distance,
    softened_divergence,
)

OLD = torch.tensor([[3.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
NEW = torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
# The old model is right on the first image and wrong on the second.
LABELS = torch.tensor([0, 0])
BATCH = Batch(torch.eye(2), LABELS, logits=NEW, cloud_logits=OLD)


def divergence(old, new, tau):
    def softmax(values):
        exponentials = [math.exp(value / tau) for value in values]
        return [value / sum(exponentials) for value in exponentials]

    return tau**2 * sum(p * math.log(p / q) for p, q in zip(softmax(old), softmax(new), strict=True))


def test_images_that_the_old_model_has_right_weigh_alpha_plus_beta():
    assert focal_weights(OLD, LABELS, alpha=1.0, beta=5.0).tolist() == [6.0, 1.0]
    assert focal_weights(OLD, LABELS, alpha=0.0, beta=1.0).tolist() == [1.0, 0.0]


def test_logit_matching_is_half_the_squared_distance():
    assert logit_distance(NEW, OLD).tolist() == [(4 + 1) / 2, 1 / 2]
    assert FocalLogitMatching()(BATCH).item() == pytest.approx((6 * 2.5 + 1 * 0.5) / 2)


@pytest.mark.parametrize("tau", [1.0, 4.0, 100.0])
def test_the_divergence_is_softened_and_scaled_by_the_temperature_squared(tau):
    values = softened_divergence(NEW, OLD, temperature=tau).tolist()
    by_hand = [divergence(old, new, tau) for old, new in zip(OLD.tolist(), NEW.tolist(), strict=True)]
    assert values == pytest.approx(by_hand)
    assert FocalDivergence(temperature=tau)(BATCH).item() == pytest.approx((6 * by_hand[0] + by_hand[1]) / 2)


def test_at_large_temperature_the_divergence_is_centred_logit_matching():
    centred = [logits - logits.mean(dim=1, keepdim=True) for logits in (NEW, OLD)]
    expected = logit_distance(*centred) / NEW.shape[1]
    torch.testing.assert_close(softened_divergence(NEW, OLD, temperature=1e4), expected, rtol=1e-3, atol=0)


def test_half_precision_does_not_drown_the_divergence():
    generator = torch.Generator().manual_seed(0)
    new, old = (torch.randn(4, 500, generator=generator).to(torch.bfloat16) for _ in range(2))
    expected = softened_divergence(new.double(), old.double(), temperature=100.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = softened_divergence(new, old, temperature=100.0)
    torch.testing.assert_close(value.double(), expected, rtol=0.02, atol=0)


def test_elodi_holds_the_ensembles_highest_classes_beyond_the_margin():
    ensemble = torch.tensor([[5.0, 3.0, 1.0]])
    logits = torch.tensor([[4.0, 3.2, 9.0]])
    value = logit_difference_inhibition(logits, ensemble, classes=2, margin=0.5, power=2.0)
    assert value.item() == pytest.approx((0.5**2 + 0.0) / 2)
    everything = logit_difference_inhibition(logits, ensemble, classes=7, margin=0.0, power=1.0)
    assert everything.item() == pytest.approx((1 + 0.2 + 8) / 3)
    assert Elodi(classes=1)(Batch(torch.eye(1), torch.tensor([0]), logits=logits, cloud_logits=ensemble)).item() == 1.0


@pytest.mark.parametrize("term", [FocalLogitMatching(), FocalDivergence(), Elodi()])
def test_a_missing_classifier_is_an_error(term):
    with pytest.raises(InputError, match="own_head beside it"):
        term(Batch(torch.eye(2), LABELS, cloud_logits=OLD))
    with pytest.raises(InputError, match="cloud \\(or old\\) model"):
        term(Batch(torch.eye(2), LABELS, logits=NEW))
