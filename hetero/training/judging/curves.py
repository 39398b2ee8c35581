"""Conclusions from the curves of a training: if it has flattened, and what would improve the student further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from hetero.training.judging.judgement import Judgement

AGREEMENT = "agreement"
"""Name of the figure that is also measured on training images."""

FEWEST_LOOKS = 8
"""Looks at validation from which on a curve can be read."""

FLAT = 0.02
"""Share of the last value: a curve that rose by less from one quarter of the looks to the next has flattened. Where it
rises with the logarithm of the steps, doubling the steps would then add less than .04 of that value."""

RISING = 0.02
"""Rise of the held-out agreement over the last quarter of the steps from which training longer pays."""

GAP = 0.10
"""Training minus held-out agreement from which more images do more than more steps."""

LOW = 0.6
"""Training agreement below which a student is too small for its training images."""


@dataclass(frozen=True)
class Look:
    """One look at validation.

    Attributes:
        step: Steps taken.
        judgement: Figures on the held-out images.
        training: Mean agreement of the training batches logged since the look before; None without a cloud model.
    """

    step: int
    judgement: Judgement
    training: float | None = None

    @property
    def held_out(self) -> float | None:
        """Agreement on the held-out images; None where it is not known."""
        return self.judgement.figures.get(AGREEMENT)


def flattened(looks: Sequence[Look]) -> bool:
    """Return True if the held-out curves have all but stopped rising: the figure that chooses weights, and agreement.

    Both must have flattened: the first is noisy on few images, and the second, which is smooth, may stop before the
    first. Means of quarters are compared, so that the noise of one look does not decide; and quarters grow with the
    training, so that a curve that rises with the logarithm of the steps flattens, too.

    Args:
        looks: All looks so far, the latest last.
    """
    if len(looks) < FEWEST_LOOKS:
        return False
    names = {looks[-1].judgement.judged_by, AGREEMENT}
    figures = [look.judgement.figures for look in looks]
    return all(_is_flat([values[name] for values in figures]) for name in names if name in figures[-1])


def _is_flat(values: Sequence[float]) -> bool:
    before, recent = _last_quarters(values)
    return recent - before < FLAT * abs(recent)


def advice(looks: Sequence[Look], *, decay_from: int = 0) -> tuple[str, ...]:
    """Return ways to improve a model further, by the curves of its finished training; empty where they show none.

    Args:
        looks: All looks of the training.
        decay_from: Steps taken when a constant rate began to fall. From there agreement rises in any case, so only the
            looks before can show if more steps would have raised it; 0 for a rate that falls all along.
    """
    held_out = [look.held_out for look in looks if look.held_out is not None]
    training = [look.training for look in looks if look.training is not None]
    if len(looks) < FEWEST_LOOKS or len(held_out) < len(looks) or len(training) < len(looks):
        return ()
    full = sum(look.step <= decay_from for look in looks) if decay_from else len(looks)
    rise = _rise(held_out[:full])
    in_training, in_validation = mean(_last_quarter(training)), mean(_last_quarter(held_out))
    lines, at_full = list[str](), " at the full rate" if decay_from else ""
    if rise > RISING:
        lines.append(f"train longer: held-out agreement rose by {rise:.2f} in the last quarter of the steps{at_full}")
    if in_training - in_validation > GAP:
        lines.append(
            f"more photos or more copies of them: agreement is {in_training:.2f} in training and "
            f"{in_validation:.2f} held out"
        )
    if not lines and in_training < LOW and _rise(training[:full]) <= RISING:
        lines.append(
            f"a larger student: agreement with the cloud has stopped at {in_training:.2f} on training images, too"
        )
    return tuple(lines)


def _quarter(values: Sequence[float]) -> int:
    return max(2, len(values) // 4)


def _last_quarter(values: Sequence[float]) -> Sequence[float]:
    return values[-_quarter(values) :]


def _last_quarters(values: Sequence[float]) -> tuple[float, float]:
    size = _quarter(values)
    return mean(values[-2 * size : -size]), mean(values[-size:])


def _rise(values: Sequence[float]) -> float:
    """Return the rise from the last look before the last quarter to the end."""
    return values[-1] - values[-1 - _quarter(values)]
