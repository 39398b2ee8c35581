"""A Core ML model computed by this package instead of by Apple's engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.decode import read_program
from device_tests.runtimes.coreml.executor import Arithmetic, Executor
from device_tests.runtimes.coreml.features import prepare, require_fitting_features
from device_tests.runtimes.coreml.program import Program
from device_tests.runtimes.coreml.rounding import Incident, Losses
from hetero.errors import InputError

Array = NDArray[Any]

MEMORY_LIMIT = 2 << 30
# Working sets of this many bytes stay in a processor's cache.
_STACK_BYTES = 8 << 20


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        outputs: Outputs by name; floating-point ones as float32.
        incidents: Losses by float16, operator by operator; empty in float32.
    """

    outputs: dict[str, Array]
    incidents: tuple[Incident, ...]


class ReferenceModel:
    """A loaded model. It certifies the exported program and weights, not Apple's kernels, Neural Engine or GPU.

    Attributes:
        program: The package's program.
        arithmetic: ``float32`` or ``float16``.
    """

    def __init__(self, program: Program, arithmetic: Arithmetic, *, memory_limit: int = MEMORY_LIMIT) -> None:
        self.program = program
        self.arithmetic: Arithmetic = arithmetic
        require_fitting_features(program)
        self._executor = Executor(program, arithmetic, memory_limit=memory_limit)
        self._try_out()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(feature.name for feature in self.program.features)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self.program.outputs

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs for some inputs; see :meth:`run`."""
        return self.run(inputs).outputs

    def run(self, inputs: Mapping[str, Array]) -> Result:
        """Compute the outputs.

        A model for one image takes any number: they run together if every operator keeps them apart, else one by one.

        Args:
            inputs: By name: images as uint8 [n, h, w, 3], arrays as declared or with n rows.

        Returns:
            Outputs with n rows, and the losses by float16.

        Raises:
            InputError: If the inputs do not fit.
            IntegrityError: If an operator cannot run as the program declares.
        """
        prepared, rows = prepare(self.program, inputs)
        losses = Losses()
        step = self._rows_at_once(rows)
        parts: list[dict[str, Array]] = []
        for first in range(0, rows, step):
            part = prepared if step == rows else {name: array[first : first + step] for name, array in prepared.items()}
            parts.append(self._executor.run(part, min(step, rows - first), losses))
        outputs = {name: self._joined([part[name] for part in parts], name) for name in self.outputs}
        return Result(outputs, (*self._executor.constant_losses, *losses.incidents()))

    def _rows_at_once(self, rows: int) -> int:
        plan = self._executor.plan
        if not plan.stacks or rows == 1:
            return 1
        return max(1, min(rows, _STACK_BYTES // max(1, plan.peak_bytes)))

    def _joined(self, parts: list[Array], name: str) -> Array:
        if len(parts) == 1:
            return np.ascontiguousarray(parts[0]).reshape(parts[0].shape)
        if parts[0].ndim == 0 or (not self._executor.plan.stacks and len(parts[0]) != 1):
            raise InputError(f"the output {name} has no axis for several inputs; pass them one by one")
        return np.concatenate(parts)

    def _try_out(self) -> None:
        """Run once on zeros, so that a damaged program is refused before it returns any number.

        Skipped for integer inputs, for which zero may be invalid, and for unknown shapes.
        """
        types = [item.type for item in self.program.inputs]
        if any(None in each.shape or not each.element.is_float for each in types):
            return
        zeros = {item.name: np.zeros(item.type.known_shape, np.float32) for item in self.program.inputs}
        self._executor.run(zeros, 1, Losses())


def load(path: Path | str, arithmetic: Arithmetic = "float32") -> ReferenceModel:
    """Load an ``.mlpackage`` that holds an ML program.

    Args:
        path: The folder.
        arithmetic: ``float32``, or ``float16`` to round each result that the program declares as float16.

    Raises:
        InputError: If there is no package.
        IntegrityError: If it is damaged.
        NotVerifiedError: For an unknown operator, type, parameter or option: ``not verified: OP at NAME``.
    """
    return ReferenceModel(read_program(Path(path)), arithmetic)
