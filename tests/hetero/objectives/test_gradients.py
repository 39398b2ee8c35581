"""Every objective's gradient against finite differences, in float64."""

import pytest
import torch
from torch.nn import functional as F

from hetero.objectives.asymmetric_triplet import AsymmetricTriplet
from hetero.objectives.backward_compatible import InfluenceLoss
from hetero.objectives.batch import Batch
from hetero.objectives.contrastive import CloudContrastive, SupervisedContrastive
from hetero.objectives.csd import ContextualSimilarity
from hetero.objectives.d3still import D3still
from hetero.objectives.elodi import Elodi
from hetero.objectives.focal_distillation import FocalDivergence, FocalLogitMatching
from hetero.objectives.focal_retrieval import FocalRetrieval
from hetero.objectives.head import Head
from hetero.objectives.instance_contrastive import InstanceContrastive
from hetero.objectives.margin_softmax import MarginSoftmax
from hetero.objectives.matryoshka import Matryoshka
from hetero.objectives.raml import Raml
from hetero.objectives.rank_preserving import RankPreserving
from hetero.objectives.regression import CloudRegression
from hetero.objectives.text_affinity import TextAffinity


def vectors(count, dimension, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, dimension, generator=generator, dtype=torch.float64), dim=1)


PROTOTYPES = vectors(3, 4, 9)
TERMS = {
    "arcface": MarginSoftmax(PROTOTYPES, kind="arcface"),
    "cosface": MarginSoftmax(PROTOTYPES, kind="cosface"),
    "matryoshka": Matryoshka(Head(3, 4, "arcface", 0.2, 16.0), shortest=2).double(),
    "influence": InfluenceLoss(PROTOTYPES),
    "influence padded": InfluenceLoss(vectors(3, 6, 9), variant="unnormalised"),
    "influence truncated": InfluenceLoss(vectors(3, 2, 9), variant="none"),
    "supervised contrastive": SupervisedContrastive(),
    "cloud contrastive": CloudContrastive(),
    "regression": CloudRegression(),
    "triplet": AsymmetricTriplet(margin=1.0),
    "hard triplet": AsymmetricTriplet(margin=1.0, mining="hard"),
    "instance_contrastive": InstanceContrastive(temperature=0.2),
    "csd": ContextualSimilarity(neighbours=4),
    "raml": Raml(),
    "rank preserving": RankPreserving(neighbours=4),
    "d3still": D3still(neighbours=4),
    "focal logit matching": FocalLogitMatching(),
    "focal kl": FocalDivergence(),
    "focal kl at temperature 2": FocalDivergence(temperature=2.0),
    "elodi": Elodi(classes=2, margin=0.1),
    "text affinity": TextAffinity(temperature=0.2),
    "focal retrieval": FocalRetrieval(),
    "focal retrieval by similarities": FocalRetrieval(distance="similarities"),
}


@pytest.mark.parametrize("name", TERMS)
def test_the_gradient_is_right(name):
    labels, cloud = torch.tensor([0, 1, 2, 0, 1]), vectors(5, 4, 1)
    bank, bank_labels = torch.cat([cloud, vectors(4, 4, 2)]), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])

    def value(raw):
        embeddings = F.normalize(raw, dim=1)
        logits = 16 * embeddings @ PROTOTYPES.T
        rows = torch.tensor([0, 1, 2, 3, -1])
        both = (logits, 16 * cloud @ PROTOTYPES.T)
        return TERMS[name](Batch(embeddings, labels, cloud, bank, bank_labels, rows, *both, texts=vectors(3, 4, 5)))

    raw = (cloud + 0.7 * vectors(5, 4, 3)).requires_grad_()
    assert torch.autograd.gradcheck(value, (raw,))
    assert torch.autograd.grad(value(raw), raw)[0].abs().sum() > 1e-6
