"""The definitions again, as plain loops."""

from __future__ import annotations

from typing import Any


def ranked(query: Any, gallery: Any, excluded: int) -> list[tuple[float, int]]:
    scored = []
    for row, vector in enumerate(gallery):
        if row != excluded:
            scored.append((sum(float(a) * float(b) for a, b in zip(query, vector, strict=True)), row))
    return sorted(scored, key=lambda pair: (-pair[0], pair[1]))


def cmc(query: Any, gallery: Any, label: int, labels: Any, excluded: int, k: int) -> float:
    return float(any(labels[row] == label for _, row in ranked(query, gallery, excluded)[:k]))


def average_precision_at_r(query: Any, gallery: Any, label: int, labels: Any, excluded: int) -> float:
    order = [row for _, row in ranked(query, gallery, excluded)]
    relevant = sum(1 for row in order if labels[row] == label)
    total, right = 0.0, 0
    for rank in range(1, relevant + 1):
        if labels[order[rank - 1]] == label:
            right += 1
            total += right / rank
    return total / relevant
