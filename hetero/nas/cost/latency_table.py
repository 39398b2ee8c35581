"""Latency looked up: a table of operators, each measured once on a named runtime and target.

``hetero device latency`` writes one, in milliseconds, or in instructions where an emulator counts them. The prediction
for a network is the time of a call to the runtime plus the sum of its operators; docs/results.md reports how well that
ranks whole networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from hetero.constraints import NotNegative
from hetero.errors import InputError
from hetero.files import write_json
from hetero.nas.cost.layers import Layer
from hetero.recognition.kinds import LATENCY
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file, record

Unit = Literal["latency_ms", "instructions"]
"""The quantity of a table, by the name that budgets use."""

_SHOWN = 3


@record
class RuntimeTable:
    """The measurements of one runtime.

    Attributes:
        version: Version of the runtime.
        call: Running a network that does nothing, in the table's unit; added once to each network.
        operators: Name of each operator -> its own part beyond that.
    """

    version: str
    call: NotNegative
    operators: dict[str, NotNegative]


@record
class LatencyTable:
    """Latencies measured on one target.

    Attributes:
        target: Name and description of the target: processor, system.
        measured: Runtime -> its table.
        unit: Milliseconds, or instructions that an emulator counted.
    """

    target: dict[str, str]
    measured: dict[str, RuntimeTable]
    unit: Unit = "latency_ms"
    schema: Literal["hetero/latency-table/2"] = "hetero/latency-table/2"

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Names of the runtimes."""
        return tuple(self.measured)

    def costs(self, layers: Sequence[Layer]) -> dict[str, float]:
        """Return the cost of one image through a network on every runtime, by the names that budgets use."""
        return {f"{self.unit}.{runtime}": self.predict(layers, runtime) for runtime in self.runtimes}

    def predict(self, layers: Iterable[Layer], runtime: str) -> float:
        """Return the cost of one image through a network, in the table's unit.

        Args:
            layers: Layers of the network.
            runtime: Name of the runtime, for instance ``litert``.

        Raises:
            InputError: When the runtime, or an operator of the network, was not measured.
        """
        from hetero.nas.cost.operators import operator_names

        return self.sum(runtime, [name for layer in layers for name in operator_names(layer)])

    def sum(self, runtime: str, operators: Sequence[str]) -> float:
        """Return the cost of one image through these operators; see :meth:`predict`."""
        if runtime not in self.measured:
            raise InputError(f"the latency table has {', '.join(self.measured) or 'no runtime'}, not {runtime!r}")
        costs = self.measured[runtime].operators
        if missing := sorted({name for name in operators if name not in costs}):
            lines = [*missing[:_SHOWN], *([f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else [])]
            raise InputError(
                f"the latency table was not measured for {runtime} on this space and image size; measure it again with "
                "`hetero device latency`. It lacks:",
                lines,
            )
        return self.measured[runtime].call + sum(costs[name] for name in operators)

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Read a table.

        Raises:
            InputError: When there is no file.
            IntegrityError: When the file is damaged.
        """
        refuse_others(path, LATENCY)
        if not path.is_file():
            raise InputError(f"expected a latency table at {path}, found no file; `hetero device latency` writes one")
        return parse_file(cls, path)
