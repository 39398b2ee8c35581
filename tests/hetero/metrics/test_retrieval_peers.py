"""Our figures beside those of pytorch-metric-learning and torchmetrics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_recall

from hetero.metrics.retrieval import evaluate


class Case(NamedTuple):
    query: np.ndarray
    gallery: np.ndarray
    query_labels: np.ndarray
    gallery_labels: np.ndarray


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Unit vectors without ties: order among equal scores is each library's own."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, queries, gallery = draw(st.integers(1, 5)), draw(st.integers(1, 12)), draw(st.integers(5, 30))
    vectors = rng.standard_normal((queries + gallery, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, gallery - classes)])
    return Case(vectors[:queries], vectors[queries:], rng.integers(0, classes, queries), labels)


@settings(max_examples=50)
@given(cases())
def test_torchmetrics_agrees_query_by_query(case: Case) -> None:
    values = evaluate(*case, metrics=("cmc@1", "cmc@5", "map@r", "recall@1", "recall@5", "recall@100"))
    for row, (vector, label) in enumerate(zip(case.query, case.query_labels, strict=True)):
        # torchmetrics takes scores for probabilities: what is not above zero does not count as retrieved.
        scores, target = torch.from_numpy(case.gallery @ vector) + 2, torch.from_numpy(case.gallery_labels == label)
        for k in (1, 5):
            assert values[f"cmc@{k}"][row] == retrieval_hit_rate(scores, target, top_k=k)
            assert values[f"recall@{k}"][row] == pytest.approx(float(retrieval_recall(scores, target, top_k=k)))
        assert values["recall@100"][row] == 1


@settings(max_examples=50)
@given(cases())
def test_pytorch_metric_learning_agrees(case: Case) -> None:
    values = evaluate(*case, metrics=("cmc@1", "map@r"))
    names = ("precision_at_1", "mean_average_precision_at_r")
    peer = AccuracyCalculator(include=names, k="max_bin_count", knn_func=CustomKNN(CosineSimilarity()))
    query, gallery, query_labels, gallery_labels = (torch.from_numpy(each) for each in case)
    expected = peer.get_accuracy(query, query_labels, gallery, gallery_labels, ref_includes_query=False)
    assert values["cmc@1"].mean() == pytest.approx(expected["precision_at_1"])
    assert values["map@r"].mean() == pytest.approx(expected["mean_average_precision_at_r"], abs=1e-6)
