"""Requirements on a bundle on a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from export.kinds.registry import names
from hetero.errors import InputError
from hetero.metrics.registry import metric_called
from hetero.mistakes import attempt


@dataclass(frozen=True)
class Gates:
    """Limits; a figure on the limit passes.

    Attributes:
        floor: Least cmc@1 against the cloud gallery, mean over tasks; 0 does not gate.
        largest_loss: Most cmc@1 that a target may lose against the student in torch. It and the floor fail when the
            figure's whole 95 % interval is beyond them.
        text_loss: The same for text queries among the photos that a target embeds; None for ``largest_loss``.
        pixels: Largest mean absolute difference, in grey levels of 255, between a target's pixels of an
            original file and those of the contract. Decoders may round differently; another resizer is far off.
        parity: Largest ``1 - cosine`` between a golden image's embedding and torch's, in fp32.
        neighbours: Largest share of queries that may lose their neighbours in a reduced precision
            (:mod:`device_tests.checks.neighbours`); it fails when the share's whole 95 % interval is beyond it.
        norm: Largest deviation of an embedding's length from one, where the space has unit norm.
        above_own: True if cmc@1 against the cloud gallery must exceed the student's own symmetric cmc@1.
        latency_ms: Largest median latency of one image; None does not gate. Emulated latency never counts.
        file_bytes: Largest size of a model's file; None does not gate.
        require: Formats that must be verified, in addition to those that are whenever a bundle has them.
        metrics: By name of a metric of retrieval (:mod:`hetero.metrics.registry`), the limit on its mean over tasks
            against the cloud gallery: a floor, or a ceiling where smaller values are better. As with the floor, the
            whole 95 % interval has to be beyond it to fail.
    """

    floor: float = 0.0
    largest_loss: float = 0.01
    text_loss: float | None = None
    pixels: float = 0.5
    parity: float = 1e-6
    neighbours: float = 0.05
    norm: float = 1e-3
    above_own: bool = False
    latency_ms: float | None = None
    file_bytes: int | None = None
    require: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        problems = [f"{name}: expected 0 to 1, got {value}" for name, value in self._shares() if not 0 <= value <= 1]
        for name in ("pixels", "parity", "norm", "latency_ms", "file_bytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                problems.append(f"{name}: expected a number above 0, got {value}")
        formats = names()
        unknown = [name for name in self.require if name not in formats]
        for name in self.metrics:
            attempt(problems, "metrics", partial(metric_called, name))
        problems += [f"require: unknown format {name!r}; expected {', '.join(formats)}" for name in unknown]
        if problems:
            raise InputError("the gates are not valid:", problems)

    def _shares(self) -> list[tuple[str, float]]:
        named = ((name, getattr(self, name)) for name in ("floor", "largest_loss", "text_loss", "neighbours"))
        return [(name, value) for name, value in named if value is not None]


@dataclass(frozen=True)
class EvidenceGates:
    """Further requirements on a release manager's own evidence.

    Attributes:
        floor: Least cmc@1 of their photos in their gallery; it fails when the whole 95 % interval is below. With None,
            cmc@1 is only reported.
    """

    floor: float | None = None

    def __post_init__(self) -> None:
        if self.floor is not None and not 0 <= self.floor <= 1:
            raise InputError(f"what your evidence must show is not valid: floor: expected 0 to 1, got {self.floor}")

    @property
    def ask(self) -> bool:
        """True if anything is required, so that evidence must be supplied."""
        return self != EvidenceGates()
