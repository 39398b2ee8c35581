"""Choose how to quantise by what retrieval loses: asymmetric map@r of calibration queries in the cloud's gallery.

Not by tensor error: two settings with equal errors may turn vectors towards their neighbours or away from them. Of the
files that meet the goal the smallest is taken: in a small network, scales for every channel are a tenth of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float32

from export.calibration import Calibration
from export.manifest import Calibrator, Quantisation, Scales

CALIBRATORS: tuple[Calibrator, ...] = ("minmax", "percentile", "entropy", "mse")
SAME_SIZE = 1.05
"""Files whose sizes differ by no more than this factor count as equally large."""


@dataclass(frozen=True)
class Choice:
    """One way to quantise; see :class:`export.manifest.Quantisation`."""

    calibrator: Calibrator = "minmax"
    scales: Scales = "channel"
    reduce_range: bool = False
    float_layers: tuple[str, ...] = ()


@runtime_checkable
class Quantiser(Protocol):
    """A format's int8 quantiser.

    Attributes:
        layers: Names of the layers with weights, which may be kept in float.
        reduces_range: Whether it can spare a bit of the weights.
    """

    layers: tuple[str, ...]
    reduces_range: bool

    def quantise(self, choice: Choice) -> bytes:
        """The content of an int8 file."""
        ...

    def embed(self, content: bytes) -> Float32[np.ndarray, "q d"]:
        """Its vectors of the calibration queries, by the runtime on this machine."""
        ...


Embed = Callable[[bytes], Float32[np.ndarray, "q d"]]
"""A file's vectors of the calibration queries."""


@dataclass(frozen=True)
class _Tried:
    choice: Choice
    content: bytes
    loss: float
    cosine: float

    @property
    def rank(self) -> tuple[float, float]:
        """Smaller is better: first what retrieval loses, then the angle to torch."""
        return (self.loss, -self.cosine)


def search(quantiser: Quantiser, calibration: Calibration, goal: float) -> tuple[bytes, Quantisation]:
    """The smallest int8 file that meets the goal, and how it was made; of equally large ones, the one that loses least.

    First the calibrators, then fewer scales and the reduced range for the best of them. When all miss the goal, layers
    go back to float: the fewest that meet it, the most sensitive first.

    Args:
        quantiser: The format's.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.

    Returns:
        The file's content and the choice behind it. ``met`` is false when nothing met the goal: then it is the best.
    """
    tried: list[_Tried] = []

    def measure(choice: Choice) -> _Tried:
        tried.append(_measured(choice, quantiser.quantise(choice), quantiser.embed, calibration))
        return tried[-1]

    for calibrator in CALIBRATORS:
        measure(Choice(calibrator))
    for choice in _variants(_best(tried).choice, reduces_range=quantiser.reduces_range):
        measure(choice)
    best = _smallest(tried, goal)
    if best.loss > goal and quantiser.layers:
        order = _by_sensitivity([measure(replace(best.choice, float_layers=(name,))) for name in quantiser.layers])
        best = _fewest(order, best.choice, measure, goal) or _best(tried)
    return best.content, _as_entry(best, best.choice.calibrator, tried, goal)


def search_weights(
    quantise: Callable[[Scales], bytes], embed: Embed, calibration: Calibration, goal: float
) -> tuple[bytes, Quantisation]:
    """The smallest file that meets the goal where weights alone are int8: only the number of scales is open.

    Args:
        quantise: Makes the file.
        embed: Runs it.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.
    """
    choices = [Choice(scales=each) for each in get_args(Scales)]
    tried = [_measured(one, quantise(one.scales), embed, calibration) for one in choices]
    best = _smallest(tried, goal)
    return best.content, _as_entry(best, None, tried, goal)


def _measured(choice: Choice, content: bytes, embed: Embed, calibration: Calibration) -> _Tried:
    vectors = embed(content)
    finite = bool(np.isfinite(vectors).all())
    return _Tried(
        choice,
        content,
        calibration.loss(vectors) if finite else np.inf,
        calibration.cosine(vectors) if finite else -1.0,
    )


def _as_entry(best: _Tried, calibrator: Calibrator | None, tried: list[_Tried], goal: float) -> Quantisation:
    return Quantisation(
        calibrator=calibrator,
        scales=best.choice.scales,
        reduce_range=best.choice.reduce_range,
        float_layers=best.choice.float_layers,
        tried=len(tried),
        goal=goal,
        met=best.loss <= goal,
    )


def _best(tried: list[_Tried]) -> _Tried:
    return min(tried, key=lambda one: one.rank)


def _smallest(tried: list[_Tried], goal: float) -> _Tried:
    """The best of the smallest files that meet the goal; when none does, the best."""
    meeting = [one for one in tried if one.loss <= goal] or [_best(tried)]
    size = SAME_SIZE * min(len(one.content) for one in meeting)
    return _best([one for one in meeting if len(one.content) <= size])


def _variants(choice: Choice, *, reduces_range: bool) -> Iterator[Choice]:
    yield replace(choice, scales="depthwise")
    yield replace(choice, scales="tensor")
    if reduces_range:
        yield replace(choice, reduce_range=True)


def _by_sensitivity(alone: list[_Tried]) -> tuple[str, ...]:
    """Layers, first the one whose return to float alone brings the vectors closest to torch's.

    By the angle and not by map@r, which single layers change too little to be told apart.
    """
    return tuple(one.choice.float_layers[0] for one in sorted(alone, key=lambda one: -one.cosine))


_Measure = Callable[[Choice], _Tried]


def _fewest(order: tuple[str, ...], choice: Choice, measure: _Measure, goal: float) -> _Tried | None:
    """The shortest run of the most sensitive layers whose return to float meets the goal, by bisection."""
    low, high, found = 0, len(order), None
    while low < high:
        middle = (low + high) // 2
        one = measure(replace(choice, float_layers=order[: middle + 1]))
        if one.loss <= goal:
            found, high = one, middle
        else:
            low = middle + 1
    return found
