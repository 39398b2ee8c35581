"""Choosing a quantisation by loss of retrieval, with :mod:`export.precision.rule`.

Tensor error does not serve: two settings with equal errors may turn vectors towards their neighbours or away from
them. The plain tools' default is always among the candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import replace
from typing import Protocol, TypeVar, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float32

from export.bundle.goldens import spread_rows
from export.bundle.quantisation import Calibrator, Evidence, Int8Figures, Quantisation, Scales
from export.precision.calibration import Calibration, Fold, Rows
from export.precision.measure import Measured, Yardstick, mean_angle
from export.precision.rule import Choice, Trial, best, decided_by

__all__ = ["CALIBRATORS", "Choice", "Quantiser", "search", "search_weights"]

CALIBRATORS: tuple[Calibrator, ...] = get_args(Calibrator)
PROBES = 32
"""Number of queries that layers are ordered by: all see the same ones, whose angles a layer changes alike."""

Content = TypeVar("Content", bound=Sized)
"""A file, or what it is made from; its length is the file's, in bytes."""


@runtime_checkable
class Quantiser(Protocol[Content]):
    """A format's int8 quantiser, which makes files or what they are made from.

    Attributes:
        layers: Names of the layers with weights, which may be kept in float.
        reduces_range: True if it can spare a bit of the weights.
    """

    layers: tuple[str, ...]
    reduces_range: bool

    def quantise(self, choice: Choice, rows: Rows) -> Content:
        """Return the content of an int8 file with ranges from these rows of the calibration images."""
        ...

    def embed(self, content: Content, rows: Rows) -> Float32[np.ndarray, "q d"]:
        """Return its vectors of these rows of the calibration images, as the runtime on this machine computes them."""
        ...


def search(quantiser: Quantiser[Content], calibration: Calibration, goal: float) -> tuple[Content, Quantisation]:
    """Search for the int8 file that the rule selects; return it with its quantisation.

    First the plain tools' default with and without corrected biases, then the other calibrators, then fewer scales and
    the reduced range for the best of them. If even the best misses the goal by more than noise, layers return to
    float: the fewest that meet it, the most sensitive first.

    Args:
        quantiser: The format's quantiser.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.

    Returns:
        The file's content and the choice behind it.
    """
    folds = calibration.folds
    rows = np.concatenate([fold.queries for fold in folds])
    yardstick = Yardstick(calibration, rows)
    trials: list[Trial] = []

    def measure(choice: Choice) -> Trial:
        sizes, parts = zip(*(_embedded(quantiser, choice, fold) for fold in folds), strict=True)
        trials.append(Trial(choice, sizes[0], yardstick.measure(np.concatenate(parts))))
        return trials[-1]

    plain = measure(Choice())
    measure(Choice(bias_correction=True))
    start = best(trials).choice
    for calibrator in CALIBRATORS[1:]:
        measure(replace(start, calibrator=calibrator))
    for choice in _variants(best(trials).choice, reduces_range=quantiser.reduces_range):
        measure(choice)
    selected = best(trials)
    if _misses(selected, goal) and quantiser.layers:
        order = _by_sensitivity(quantiser, selected.choice, calibration)
        selected = _fewest(order, selected.choice, measure, goal) or best(trials)
    # Ranges from half the images were good enough to compare by; the file itself gets those from all.
    content = quantiser.quantise(selected.choice, calibration.range_rows)
    return content, _as_entry(selected, plain, trials, selected.choice.calibrator, goal)


def _embedded(quantiser: Quantiser[Content], choice: Choice, fold: Fold) -> tuple[int, Float32[np.ndarray, "q d"]]:
    """Return the size of a choice's file, and its vectors of a fold's queries; the file itself is not kept."""
    content = quantiser.quantise(choice, fold.ranges)
    return len(content), quantiser.embed(content, fold.queries)


def search_weights(
    quantise: Callable[[Scales], bytes],
    embed: Callable[[bytes], Float32[np.ndarray, "q d"]],
    calibration: Calibration,
    goal: float,
) -> tuple[bytes, Quantisation]:
    """Search for the file that the rule selects if only weights are int8, so that only the number of scales is open.

    Args:
        quantise: Makes the file.
        embed: Returns its vectors of all calibration queries.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    yardstick = Yardstick(calibration, calibration.query_rows)
    contents: Mapping[Scales, bytes] = {scales: quantise(scales) for scales in get_args(Scales)}
    trials = [
        Trial(Choice(scales=scales), len(content), yardstick.measure(embed(content)))
        for scales, content in contents.items()
    ]
    selected = best(trials)
    return contents[selected.choice.scales], _as_entry(selected, trials[0], trials, None, goal)


def _as_entry(
    selected: Trial, plain: Trial, trials: list[Trial], calibrator: Calibrator | None, goal: float
) -> Quantisation:
    evidence = selected.figures and Evidence(
        queries=selected.figures.queries,
        classes=selected.figures.classes,
        chosen=_figures(selected, selected.figures),
        plain=plain.figures and _figures(plain, plain.figures),
        decided_by=decided_by(trials, plain),
        overlap_gain=plain.figures and selected.figures.overlap_gain(plain.figures),
    )
    return Quantisation(
        calibrator=calibrator,
        scales=selected.choice.scales,
        reduce_range=selected.choice.reduce_range,
        float_layers=selected.choice.float_layers,
        tried=len(trials),
        goal=goal,
        met=evidence is not None and evidence.chosen.loss.value <= goal,
        bias_correction=selected.choice.bias_correction,
        evidence=evidence,
    )


def _figures(trial: Trial, figures: Measured) -> Int8Figures:
    return Int8Figures(figures.loss, figures.mean_overlap, figures.angle, trial.size)


def _misses(trial: Trial, goal: float) -> bool:
    """Return True if more is lost than the goal allows, by more than noise."""
    return trial.figures is None or trial.figures.loss.low > goal


def _variants(choice: Choice, *, reduces_range: bool) -> Iterator[Choice]:
    yield replace(choice, scales="depthwise")
    yield replace(choice, scales="tensor")
    if reduces_range:
        yield replace(choice, reduce_range=True)


def _by_sensitivity(quantiser: Quantiser[Content], choice: Choice, calibration: Calibration) -> tuple[str, ...]:
    """Return layers, first the one whose return to float alone brings the vectors closest to torch's.

    Compared by the angle of a few queries and not by map@r, which single layers change too little.
    """
    fold = calibration.folds[0]
    probes = replace(fold, queries=fold.queries[spread_rows(len(fold.queries), PROBES)])

    def angle(name: str) -> float:
        _, vectors = _embedded(quantiser, replace(choice, float_layers=(name,)), probes)
        turned = mean_angle(vectors, calibration.torch[probes.queries])
        return turned if np.isfinite(turned) else np.inf

    angles = {name: angle(name) for name in quantiser.layers}
    return tuple(sorted(angles, key=lambda name: angles[name]))


def _fewest(order: tuple[str, ...], choice: Choice, measure: Callable[[Choice], Trial], goal: float) -> Trial | None:
    """Return the shortest run of the most sensitive layers whose return to float meets the goal, by bisection."""
    low, high, shortest = 0, len(order), None
    while low < high:
        middle = (low + high) // 2
        trial = measure(replace(choice, float_layers=order[: middle + 1]))
        if trial.figures and trial.figures.loss.value <= goal:
            shortest, high = trial, middle
        else:
            low = middle + 1
    return shortest
