"""Vectors of the copies that a live cloud model embedded, kept to be shown again, also by a run that is continued."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from hetero.errors import IntegrityError

_TYPE = np.dtype("<f2")


class GrownVectors:
    """Unit vectors in the order in which they were made, in float16; as many from each step.

    Args:
        each: Vectors of a step.
        dimension: Of a vector.
    """

    def __init__(self, each: int, dimension: int) -> None:
        self._each, self._dimension = each, dimension
        self._steps: list[Float[Tensor, "m c"]] = []
        self._written = 0

    def add(self, vectors: Float[Tensor, "m c"]) -> None:
        """Keep the vectors of the next step."""
        self._steps.append(vectors.half().cpu())

    def of(self, numbers: Int64[np.ndarray, " k"]) -> Float[Tensor, "k c"]:
        """float32 unit vectors."""
        kept = [self._steps[number // self._each][number % self._each] for number in numbers.tolist()]
        return F.normalize(torch.stack(kept).float(), dim=1)

    def save(self, path: Path) -> None:
        """Append to a file what was added since; what another run left in it goes."""
        with path.open("ab") as stream:
            stream.truncate(self._written * self._each * self._dimension * _TYPE.itemsize)
            for vectors in self._steps[self._written :]:
                stream.write(vectors.numpy().astype(_TYPE).tobytes())
        self._written = len(self._steps)

    def load(self, path: Path, steps: int) -> GrownVectors:
        """The same with the vectors of the first steps, from a file.

        Raises:
            IntegrityError: When it holds fewer.
        """
        count = steps * self._each * self._dimension
        values = np.fromfile(path, _TYPE, count) if path.is_file() else np.empty(0, _TYPE)
        if len(values) < count:
            raise IntegrityError(
                f"{path} does not hold the vectors of {steps} steps; remove the checkpoint beside it to train from the "
                "start"
            )
        shaped = torch.from_numpy(values.astype(np.float16).reshape(steps, self._each, self._dimension))
        loaded = GrownVectors(self._each, self._dimension)
        loaded._steps, loaded._written = list(shaped), steps
        return loaded
