"""Vectors of the copies that a live cloud model embedded, kept so that a (resumed) run can show the copies again."""

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
    """Unit vectors in the order in which they were computed, in float16; equally many from each step.

    Args:
        count: Vectors of a step.
        dimension: Dimension of a vector.
    """

    def __init__(self, count: int, dimension: int) -> None:
        self._count, self._dimension = count, dimension
        self._steps: list[Float[Tensor, "m c"]] = []
        self._written = 0

    def add(self, vectors: Float[Tensor, "m c"]) -> None:
        """Add the vectors of the next step."""
        self._steps.append(vectors.half().cpu())

    def of(self, numbers: Int64[np.ndarray, " k"]) -> Float[Tensor, "k c"]:
        """Return the float32 unit vectors of these numbers."""
        vectors = [self._steps[number // self._count][number % self._count] for number in numbers.tolist()]
        return F.normalize(torch.stack(vectors).float(), dim=1)

    def save(self, path: Path) -> None:
        """Append the vectors added since the last save to a file, in place of any that another run wrote there."""
        with path.open("ab") as stream:
            stream.truncate(self._written * self._count * self._dimension * _TYPE.itemsize)
            for vectors in self._steps[self._written :]:
                stream.write(vectors.numpy().astype(_TYPE).tobytes())
        self._written = len(self._steps)

    def load(self, path: Path, steps: int) -> GrownVectors:
        """Return new vectors like these that hold those of the first steps, read from a file.

        Raises:
            IntegrityError: When the file holds fewer.
        """
        size = steps * self._count * self._dimension
        values = np.fromfile(path, _TYPE, size) if path.is_file() else np.empty(0, _TYPE)
        if len(values) < size:
            raise IntegrityError(
                f"{path} does not hold the vectors of {steps} steps; remove the checkpoint beside it to train from the "
                "start"
            )
        shaped = torch.from_numpy(values.astype(np.float16).reshape(steps, self._count, self._dimension))
        loaded = GrownVectors(self._count, self._dimension)
        loaded._steps, loaded._written = list(shaped), steps
        return loaded
