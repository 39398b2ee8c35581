"""The same models on Apple's own engine, on macOS.

It needs macOS: hetero's tests verify only that it refuses to run elsewhere.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.decode import read_program
from device_tests.runtimes.coreml.features import prepare
from device_tests.runtimes.coreml.program import Feature, Program
from hetero.errors import InputError

Array = NDArray[Any]
ComputeUnits = Literal["ALL", "CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE"]


@runtime_checkable
class CoreMlModel(Protocol):
    """The interface of the reference executor's and Apple's models."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        ...

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return outputs with n rows for images uint8 [n, h, w, 3] and arrays with n rows."""
        ...


class AppleModel:
    """A model that macOS computes, one row at a time.

    Args:
        path: The ``.mlpackage``.
        units: The processors that it may use.

    Raises:
        InputError: If this is not macOS.
    """

    def __init__(self, path: Path, units: ComputeUnits) -> None:
        if platform.system() != "Darwin":
            raise InputError(f"Core ML's own engine runs on macOS, this is {platform.system()}; use load() instead")
        import coremltools

        self.program: Program = read_program(path)
        self._model: Any = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit[units])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(feature.name for feature in self.program.features)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self.program.outputs

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See :meth:`CoreMlModel.predict`."""
        _, rows = prepare(self.program, inputs)
        results = [self._model.predict(self._row(inputs, row, rows)) for row in range(rows)]
        if rows == 1:
            return {name: np.asarray(results[0][name]) for name in self.outputs}
        return {name: np.concatenate([np.asarray(each[name]) for each in results]) for name in self.outputs}

    def _row(self, inputs: Mapping[str, Array], row: int, rows: int) -> dict[str, Any]:
        return {
            feature.name: _image(inputs[feature.name][row], feature)
            if feature.image
            else inputs[feature.name][row : row + 1 if rows > 1 else None]
            for feature in self.program.features
        }


def load_on_apple(path: Path | str, units: ComputeUnits = "ALL") -> AppleModel:
    """Load a package into macOS's Core ML, with the interface of :func:`device_tests.runtimes.coreml.load`.

    Args:
        path: The ``.mlpackage``.
        units: The processors that it may use.

    Raises:
        InputError: If this is not macOS.
    """
    return AppleModel(Path(path), units)


def _image(pixels: Array, feature: Feature) -> Any:
    from PIL import Image

    # Core ML reorders the colours itself.
    return Image.fromarray(pixels[..., 0] if feature.image == "GRAYSCALE" else pixels)
