"""The uncertainty of flip rates: paired bootstrap intervals over samples, or over classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval, difference_interval, function_interval, mean_interval

Right = Bool[np.ndarray, " _"]


def nfr_interval(old_right: Right, new_right: Right, **resampling: Any) -> Interval:
    """Compute NFR with its interval.

    Args:
        old_right: bool [n], True where the old model is right.
        new_right: bool [n], True where the new model is right.
        **resampling: ``clusters`` (int64 [n], classes to resample; without it samples are resampled), ``resamples``,
            ``level`` and ``seed``, see :func:`hetero.metrics.bootstrap.mean_interval`.

    Raises:
        InputError: When the arrays differ in length.
    """
    return mean_interval(_negative(old_right, new_right), **resampling)


def rel_nfr_interval(old_right: Right, new_right: Right, **resampling: Any) -> Interval:
    """Compute Rel.NFR, NFR / [(1 - ER_old) * ER_new], with its interval; arguments as for :func:`nfr_interval`.

    Raises:
        InputError: When it is not defined: the old model is always wrong, or the new one never.
    """
    figures = [_negative(old_right, new_right), old_right.astype(np.float64), (~new_right).astype(np.float64)]
    return function_interval(figures, lambda means: means[:, 0] / (means[:, 1] * means[:, 2]), **resampling)


def nfr_difference_interval(old_right: Right, new_right: Right, baseline_right: Right, **resampling: Any) -> Interval:
    """Compute NFR of an update minus NFR of a baseline update of the same old model; below zero is better.

    Args:
        old_right: bool [n], True where the old model is right.
        new_right: bool [n], True where the update is right.
        baseline_right: bool [n], True where the baseline update is right.
        **resampling: See :func:`nfr_interval`.
    """
    return difference_interval(_negative(old_right, new_right), _negative(old_right, baseline_right), **resampling)


def nfr_reduction_interval(old_right: Right, new_right: Right, baseline_right: Right, **resampling: Any) -> Interval:
    """Compute the share of a baseline update's negative flips that an update avoids: 1 - NFR / NFR of the baseline.

    Arguments as for :func:`nfr_difference_interval`.

    Raises:
        InputError: When the baseline has no negative flip.
    """
    figures = [_negative(old_right, new_right), _negative(old_right, baseline_right)]
    return function_interval(figures, lambda means: 1 - means[:, 0] / means[:, 1], **resampling)


def _negative(old_right: NDArray[np.bool_], new_right: NDArray[np.bool_]) -> NDArray[np.float64]:
    if len(old_right) != len(new_right):
        raise InputError(f"flips need the same samples on both sides, got {len(old_right)} and {len(new_right)}")
    return (old_right & ~new_right).astype(np.float64)
