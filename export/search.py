"""Choose how to quantise by what retrieval loses: asymmetric map@r of calibration queries in the cloud's gallery.

Not by tensor error: two settings with equal errors may turn vectors towards their neighbours or away from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from export.calibration import Calibration
from export.manifest import Calibrator, Quantisation

CALIBRATORS: tuple[Calibrator, ...] = ("minmax", "percentile", "entropy", "mse")


@dataclass(frozen=True)
class Choice:
    """One way to quantise; see :class:`export.manifest.Quantisation`."""

    calibrator: Calibrator = "minmax"
    per_channel: bool = True
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
    """The int8 file that loses least, and how it was made.

    First the calibrators, then per-channel weights and the reduced range for the best of them. When that misses the
    goal, layers go back to float: the fewest that meet it, the most sensitive first.

    Args:
        quantiser: The format's.
        calibration: Images and the cloud's gallery.
        goal: Largest share of map@r to lose.

    Returns:
        The file's content and the choice behind it. ``met`` is false when nothing met the goal: then it is the best.
    """
    tried: list[_Tried] = []

    def measure(choice: Choice) -> _Tried:
        content = quantiser.quantise(choice)
        vectors = quantiser.embed(content)
        finite = bool(np.isfinite(vectors).all())
        one = _Tried(
            choice,
            content,
            calibration.loss(vectors) if finite else np.inf,
            calibration.cosine(vectors) if finite else -1.0,
        )
        tried.append(one)
        return one

    for calibrator in CALIBRATORS:
        measure(Choice(calibrator))
    for choice in _variants(_best(tried).choice, reduces_range=quantiser.reduces_range):
        measure(choice)
    best = _best(tried)
    if best.loss > goal and quantiser.layers:
        order = _by_sensitivity([measure(replace(best.choice, float_layers=(name,))) for name in quantiser.layers])
        best = _fewest(order, best.choice, measure, goal) or _best(tried)
    chosen = best.choice
    return best.content, Quantisation(
        calibrator=chosen.calibrator,
        per_channel=chosen.per_channel,
        reduce_range=chosen.reduce_range,
        float_layers=chosen.float_layers,
        tried=len(tried),
        goal=goal,
        met=best.loss <= goal,
    )


def _best(tried: list[_Tried]) -> _Tried:
    return min(tried, key=lambda one: one.rank)


def _variants(choice: Choice, *, reduces_range: bool) -> Iterator[Choice]:
    yield replace(choice, per_channel=False)
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
