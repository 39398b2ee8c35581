"""The rule that selects one of several int8 files.

1. A file that loses more map@r than the best by more than noise is out: asymmetric map@r of calibration queries in
the cloud's gallery, paired 95 % interval. Smaller losses count as equal.
2. Of the rest, a file that keeps less of the float32 model's ten nearest, by more than ``SAME_OVERLAP``, is out.
3. Of the rest, files more than ``SAME_SIZE`` times as large as the smallest are out.
4. Of the rest, the one whose vectors have the smallest mean angle to the float32 model's is selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from export.bundle.quantisation import Calibrator, DecidedBy, Scales
from export.precision.measure import Measured

SAME_OVERLAP = 0.01
"""Overlaps that differ by no more than this count as equal: one neighbour in a hundred."""
SAME_SIZE = 1.05
"""Files whose sizes differ by no more than this factor count as equally large."""


@dataclass(frozen=True)
class Choice:
    """One quantisation; see :class:`export.bundle.quantisation.Quantisation`.

    The default is the plain tools' own.
    """

    calibrator: Calibrator = "minmax"
    scales: Scales = "channel"
    reduce_range: bool = False
    bias_correction: bool = False
    float_layers: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Trial:
    """A quantisation and its results; not the file, so that many trials take no memory.

    Attributes:
        choice: The quantisation.
        size: Bytes of the file whose ranges come from the first fold.
        figures: Figures of all folds' queries; None if some vectors are not finite.
    """

    choice: Choice
    size: int
    figures: Measured | None

    @property
    def measured(self) -> Measured:
        """The figures, which must exist."""
        assert self.figures is not None
        return self.figures


def best(trials: Sequence[Trial]) -> Trial:
    """Return the trial that the rule selects; the first if no file gives finite vectors."""
    remaining = list(trials)
    for _, keep in _STEPS:
        remaining = keep(remaining)
    return remaining[0]


def decided_by(trials: Sequence[Trial], other: Trial) -> DecidedBy:
    """Return the step of the rule at which a trial was excluded; ``nothing`` if it was selected."""
    remaining = list(trials)
    for name, keep in _STEPS:
        remaining = keep(remaining)
        if other not in remaining:
            return name
    return "nothing"


def _finite(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.figures] or trials[:1]


def _retrieving(trials: list[Trial]) -> list[Trial]:
    leader = min(trials, key=lambda trial: trial.measured.loss.value)
    return [trial for trial in trials if trial is leader or not trial.measured.behind(leader.measured)]


def _agreeing(trials: list[Trial]) -> list[Trial]:
    least = max(trial.measured.mean_overlap for trial in trials) - SAME_OVERLAP
    return [trial for trial in trials if trial.measured.mean_overlap >= least - 1e-12]


def _small(trials: list[Trial]) -> list[Trial]:
    most = SAME_SIZE * min(trial.size for trial in trials)
    return [trial for trial in trials if trial.size <= most]


def _nearest(trials: list[Trial]) -> list[Trial]:
    return [min(trials, key=lambda trial: trial.measured.angle)]


def _if_measured(
    keep: Callable[[list[Trial]], list[Trial]],
) -> Callable[[list[Trial]], list[Trial]]:
    return lambda trials: keep(trials) if trials[0].figures else trials


_STEPS: tuple[tuple[DecidedBy, Callable[[list[Trial]], list[Trial]]], ...] = (
    ("not finite", _finite),
    ("map@r", _if_measured(_retrieving)),
    ("overlap@10", _if_measured(_agreeing)),
    ("size", _if_measured(_small)),
    ("angle", _if_measured(_nearest)),
)
