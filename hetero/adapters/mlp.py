"""A small network from one space to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from typing_extensions import Doc

from hetero.adapters.adapter import unit
from hetero.constraints import Count, NotNegative, Number, Positive


@dataclass(frozen=True)
class Mlp:
    """One hidden layer beside a linear path: ``x skip + relu(x inner + inner_bias) outer + outer_bias``.

    It is fitted with torch and applied with numpy.

    Attributes:
        skip: float32 [s, t].
        inner: float32 [s, h].
        inner_bias: float32 [h].
        outer: float32 [h, t].
        outer_bias: float32 [t].
    """

    skip: Float32[np.ndarray, "s t"]
    inner: Float32[np.ndarray, "s h"]
    inner_bias: Float32[np.ndarray, " h"]
    outer: Float32[np.ndarray, "h t"]
    outer_bias: Float32[np.ndarray, " t"]

    @classmethod
    def fit(
        cls,
        source: Float32[np.ndarray, "n s"],
        target: Float32[np.ndarray, "n t"],
        hidden: Annotated[Count, Doc("width of the hidden layer")] = 256,
        steps: Annotated[Count, Doc("optimiser steps")] = 1000,
        learning_rate: Annotated[Positive, Doc("peak")] = 2e-3,
        weight_decay: Annotated[NotNegative, Doc("AdamW's")] = 1e-2,
        seed: Annotated[Number, Doc("fixes initial weights and batches")] = 0,
    ) -> Mlp:
        """Minimise the mean of one minus cosine with AdamW, on batches of 256 pairs, along a one-cycle rate.

        Args:
            source: float32 [n, s], vectors to be mapped.
            target: float32 [n, t], unit vectors of the same images.
            hidden: Width of the hidden layer.
            steps: Optimiser steps.
            learning_rate: Peak of the one-cycle rate.
            weight_decay: Weight decay of AdamW.
            seed: Fixes initial weights and batches. The global random state is not touched.
        """
        from hetero.adapters.mlp_fit import fitted_weights

        settings = (hidden, steps, learning_rate, weight_decay, seed)
        return cls(**fitted_weights(source, unit(target), *settings))

    def __call__(self, vectors: Float32[np.ndarray, "n s"]) -> Float32[np.ndarray, "n t"]:
        """Map, and return unit vectors."""
        hidden = np.maximum(vectors @ self.inner + self.inner_bias, 0)
        return unit(vectors @ self.skip + hidden @ self.outer + self.outer_bias)

    def arrays(self) -> Mapping[str, NDArray[np.float32]]:
        """Return all weights."""
        return dict(vars(self))
