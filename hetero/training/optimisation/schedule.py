"""The length of a training, and its learning rate: pure functions of the step and of a checkpoint's progress.

With a fixed number of steps the rate falls along a cosine. ``steps = "auto"`` does not know its end, so its rate stays
constant after the warm-up until the held-out curves have flattened, and then falls to zero over a share of the steps
taken so far (warm-up, stable, decay: Hu et al., arXiv 2404.06395). It falls along a root, which Hägele et al. (arXiv
2405.18392, section 3) found better than a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetero.training.config import TrainingConfig
from hetero.training.judging.curves import FEWEST_LOOKS, Look, flattened
from hetero.training.optimisation.rates import peak_rate
from hetero.training.optimisation.steps import end_of_decay


@dataclass(frozen=True)
class Schedule:
    """The steps of a training.

    Attributes:
        config: Sets the number of steps, or leaves it to the held-out curve.
        decay_from: Steps taken when the curve had flattened; 0 while it has not. Only with ``"auto"``.
    """

    config: TrainingConfig
    decay_from: int = 0

    @property
    def last(self) -> int:
        """The last step, as far as it is known; with ``"auto"`` the latest possible one until the rate falls."""
        if self.config.steps != "auto":
            return self.config.steps
        return end_of_decay(self.decay_from) if self.decay_from else self.config.max_steps

    @property
    def is_stable(self) -> bool:
        """True if the steps are ``"auto"`` and the rate has not begun to fall."""
        return self.config.steps == "auto" and not self.decay_from

    def after(self, looks: Sequence[Look]) -> Schedule:
        """Return the schedule after a look at validation, which may let the rate fall from the next step on."""
        if not self.is_stable:
            return self
        step, following = looks[-1].step, looks[-1].step + self.config.validate_every
        if flattened(looks) or end_of_decay(following) > self.config.max_steps:
            return Schedule(self.config, step)
        return self

    def rate(self, step: int) -> float:
        """Return the learning rate of a step (1 to ``last``): linear warm-up, then as the module describes."""
        peak, warm = peak_rate(self.config), self._warm_up
        if step <= warm:
            return peak * step / warm
        if self.config.steps == "auto":
            past = max(0, step - self.decay_from) if self.decay_from else 0
            return peak * (1 - math.sqrt(past / max(1, self.last - self.decay_from)))
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.last - warm)))

    def is_candidate(self, step: int) -> bool:
        """Return True if the weights after a step may be kept: the rate is low (``candidates_from``)."""
        share, first = self.config.candidates_from, self.decay_from
        return not self.is_stable and step >= first + share * (self.last - first)

    @property
    def _warm_up(self) -> int:
        steps = FEWEST_LOOKS * self.config.validate_every if self.config.steps == "auto" else self.config.steps
        return max(1, round(self.config.warmup * steps))
