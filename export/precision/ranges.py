"""Activation ranges from the values that calibration images cause, by the calibrators of the converters' tools.

One implementation for all formats: a tensor's values are collected in a histogram, from which calibrators set a range.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from export.bundle.quantisation import Calibrator

BINS = 2048
LEVELS = 255
KEPT = 0.9999
"""Share of the values that the percentile calibrator keeps."""
SMOOTHING = 0.95
"""Weight of the earlier ranges in the moving average, as in LiteRT's quantiser."""
_SHRINKS = np.linspace(0.2, 1.0, 41)
"""Candidates for entropy and mean squared error: shares of the whole range."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Histogram:
    """The values of one tensor over all calibration images.

    Attributes:
        counts: float64 [BINS].
        low: Lower edge of the first bin.
        high: Upper edge of the last bin.
        average: Moving average of each image's own range.
    """

    counts: Float64[np.ndarray, " bins"]
    low: float
    high: float
    average: Range

    @property
    def centres(self) -> Float64[np.ndarray, " bins"]:
        """The middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return self.low + width * (np.arange(len(self.counts)) + 0.5)


def observe(runs: Callable[[], Iterable[Mapping[str, NDArray[np.float32]]]]) -> dict[str, Histogram]:
    """Return histograms of every tensor.

    Args:
        runs: Starts over at each call; yields the tensors of one image after another. It is called twice: for the
            ranges, then for the counts, so that no activation has to be stored.
    """
    limits: dict[str, Range] = {}
    averages: dict[str, Range] = {}
    for tensors in runs():
        for name, values in tensors.items():
            own = _ends(values)
            low, high = limits.get(name, own)
            limits[name] = (min(low, own[0]), max(high, own[1]))
            averages[name] = _averaged(averages.get(name, own), own)
    limits = {name: _wide_enough(low, high) for name, (low, high) in limits.items()}
    counts = {name: np.zeros(BINS) for name in limits}
    for tensors in runs():
        for name, values in tensors.items():
            counts[name] += np.histogram(values, BINS, limits[name])[0]
    return {name: Histogram(counts[name], *limits[name], averages[name]) for name in limits}


def channel_means(
    runs: Iterable[Mapping[str, NDArray[np.float32]]], names: Collection[str], axis: int
) -> dict[str, Float64[np.ndarray, " channels"]]:
    """Return the mean of every channel of some tensors.

    Args:
        runs: The tensors of one image after another.
        names: Names of the tensors; missing ones are left out.
        axis: Axis of the channels.
    """
    sums: dict[str, Float64[np.ndarray, " channels"]] = {}
    images = 0
    for tensors in runs:
        images += 1
        for name in tensors.keys() & set(names):
            values = np.moveaxis(tensors[name], axis, -1)
            means = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
            sums[name] = sums[name] + means if name in sums else means
    return {name: total / images for name, total in sums.items()}


def _ends(values: NDArray[np.float32]) -> Range:
    """Return the smallest and the largest value; infinities, which pad maxima and mask scores, become the ends."""
    own = float(values.min()), float(values.max())
    if not np.isinf(own).any():
        return own
    finite = values[~np.isinf(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _averaged(before: Range, own: Range) -> Range:
    low, high = (SMOOTHING * old + (1 - SMOOTHING) * new for old, new in zip(before, own, strict=True))
    return low, high


def _wide_enough(low: float, high: float) -> Range:
    """Widen a range so that every bin has a width: a constant has a range, too."""
    return low, max(high, low + 1e-3 * max(abs(low), abs(high), 1e-3))


def ranges(histograms: Mapping[str, Histogram], calibrator: Calibrator) -> dict[str, Range]:
    """Return each tensor's range by one calibrator; zero always lies inside, since padding needs it."""
    choose = _CALIBRATORS[calibrator]
    limits = {name: choose(histogram) for name, histogram in histograms.items()}
    return {name: (min(low, 0.0), max(high, 0.0)) for name, (low, high) in limits.items()}


def minmax(histogram: Histogram) -> Range:
    """Return the range of all values."""
    return histogram.low, histogram.high


def average(histogram: Histogram) -> Range:
    """Return the moving average of each image's range: a rare value counts little."""
    return histogram.average


def percentile(histogram: Histogram) -> Range:
    """Return the range of all but one value in ten thousand, half of them at each end."""
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    first = int(np.searchsorted(share, (1 - KEPT) / 2, side="right"))
    last = int(np.searchsorted(share, 1 - (1 - KEPT) / 2, side="left"))
    return float(edges[first]), float(edges[min(last, BINS - 1) + 1])


def entropy(histogram: Histogram) -> Range:
    """Return the range whose quantised values are most informative (smallest Kullback-Leibler divergence).

    After Migacz, "8-bit inference with TensorRT" (GTC 2017): values outside count as the outermost ones, and each
    level's count spreads evenly over its bins that hold any value.
    """
    return _best(histogram, _divergence)


def mean_squared_error(histogram: Histogram) -> Range:
    """Return the range with the smallest mean squared error of the quantised values."""
    return _best(histogram, _squared_error)


_CALIBRATORS: dict[Calibrator, Callable[[Histogram], Range]] = {
    "minmax": minmax,
    "average": average,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mean_squared_error,
}


def _best(histogram: Histogram, cost: Callable[[Histogram, float, float], float]) -> Range:
    tried = [(histogram.low * share, histogram.high * share) for share in _SHRINKS]
    return min(reversed(tried), key=lambda one: cost(histogram, *one))


def _levels(values: NDArray[np.float64], low: float, high: float) -> tuple[NDArray[np.float64], float]:
    """Return the level of each value, and the width of a level."""
    width = max((max(high, 0.0) - min(low, 0.0)) / LEVELS, 1e-12)
    return np.round((np.clip(values, min(low, 0.0), max(high, 0.0)) - min(low, 0.0)) / width), width


def _squared_error(histogram: Histogram, low: float, high: float) -> float:
    centres = histogram.centres
    levels, width = _levels(centres, low, high)
    return float(histogram.counts @ (levels * width + min(low, 0.0) - centres) ** 2)


def _divergence(histogram: Histogram, low: float, high: float) -> float:
    centres, counts = histogram.centres, histogram.counts
    inside = (centres >= low) & (centres <= high)
    if not inside.any():
        return np.inf
    first, last = int(np.argmax(inside)), len(inside) - 1 - int(np.argmax(inside[::-1]))
    real = counts[first : last + 1].copy()
    real[0] += counts[:first].sum()
    real[-1] += counts[last + 1 :].sum()
    levels = _levels(centres[first : last + 1], low, high)[0].astype(np.int64)
    kept = counts[first : last + 1]
    filled = kept > 0
    sums = np.bincount(levels, kept, minlength=LEVELS + 1)
    bins = np.bincount(levels, filled, minlength=LEVELS + 1)
    coarse = np.where(filled, sums[levels] / np.maximum(bins[levels], 1), 0.0)
    return _kl(real, coarse)


def _kl(real: NDArray[np.float64], coarse: NDArray[np.float64]) -> float:
    """Return the divergence of two histograms; a value outside the coarse one costs as much as one in a million."""
    shares, guesses = real / real.sum(), coarse / max(coarse.sum(), 1e-12)
    some = shares > 0
    return float(np.sum(shares[some] * np.log(shares[some] / np.maximum(guesses[some], 1e-6))))
