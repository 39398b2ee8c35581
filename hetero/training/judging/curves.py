"""What the curves of a training say: whether it has flattened, and what would do more for the student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from hetero.training.judging.judgement import Judgement

AGREEMENT = "agreement"
"""Name of the figure that is known of training images, too."""

FEWEST_LOOKS = 8
"""With fewer looks at validation a curve says nothing."""

FLAT = 0.02
"""Of what is reached: a curve that rose by less from one quarter of the looks to the next has flattened. Where it rises
with the logarithm of the steps, twice as many would then add less than .04 of it."""

RISING = 0.02
"""Rise of the held-out agreement over the last quarter of the steps from which training longer pays."""

GAP = 0.10
"""Training less held-out agreement from which more images do more than more steps."""

LOW = 0.6
"""Training agreement below which a student cannot hold what it is shown."""


@dataclass(frozen=True)
class Look:
    """One look at validation.

    Attributes:
        step: Steps taken.
        judgement: Of the held-out images.
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
    """True if the held-out curves have all but stopped rising: the figure by which weights are chosen, and agreement.

    Both have to: the first is noisy on few images, and the second, which is smooth, may stop before the first. Means of
    quarters are compared, so that the noise of a look does not decide; and quarters grow with the training, so that a
    curve that rises with the logarithm of the steps flattens, too.

    Args:
        looks: All so far, the last one last.
    """
    if len(looks) < FEWEST_LOOKS:
        return False
    names = {looks[-1].judgement.judged_by, AGREEMENT}
    figures = [look.judgement.figures for look in looks]
    return all(_is_flat([one[name] for one in figures]) for name in names if name in figures[-1])


def _is_flat(values: Sequence[float]) -> bool:
    before, recent = _last_quarters(values)
    return recent - before < FLAT * abs(recent)


def advice(looks: Sequence[Look], *, decay_from: int = 0) -> tuple[str, ...]:
    """What the curves of a finished training say would do more for it; nothing where they say nothing.

    Args:
        looks: All of them.
        decay_from: Steps taken when a constant rate began to fall. Agreement rises then in any case, so whether more
            steps would have raised it is asked of the looks before; 0 for a rate that falls all along.
    """
    held_out = [look.held_out for look in looks if look.held_out is not None]
    training = [look.training for look in looks if look.training is not None]
    if len(looks) < FEWEST_LOOKS or len(held_out) < len(looks) or len(training) < len(looks):
        return ()
    full = sum(look.step <= decay_from for look in looks) if decay_from else len(looks)
    rise = _rise(held_out[:full])
    shown, kept = mean(_last_quarter(training)), mean(_last_quarter(held_out))
    said, at_full = list[str](), " at the full rate" if decay_from else ""
    if rise > RISING:
        said.append(f"train longer: held-out agreement rose by {rise:.2f} in the last quarter of the steps{at_full}")
    if shown - kept > GAP:
        said.append(f"more photos or more copies of them: agreement is {shown:.2f} in training and {kept:.2f} held out")
    if not said and shown < LOW and _rise(training[:full]) <= RISING:
        said.append(f"a larger student: agreement with the cloud has stopped at {shown:.2f} on training images, too")
    return tuple(said)


def _quarter(values: Sequence[float]) -> int:
    return max(2, len(values) // 4)


def _last_quarter(values: Sequence[float]) -> Sequence[float]:
    return values[-_quarter(values) :]


def _last_quarters(values: Sequence[float]) -> tuple[float, float]:
    size = _quarter(values)
    return mean(values[-2 * size : -size]), mean(values[-size:])


def _rise(values: Sequence[float]) -> float:
    """From the last look before the last quarter to the end."""
    return values[-1] - values[-1 - _quarter(values)]
