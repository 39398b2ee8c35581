"""The order for an export, and the check that its parts fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from export.bundle.goldens import RetrievalSet
from export.bundle.manifest import require_name
from export.capture.source import Source
from export.kinds.precision import Precision
from export.precision.table import offer
from hetero.errors import InputError


@dataclass(frozen=True)
class Order:
    """An order for an export.

    Attributes:
        source: The model.
        retrieval: Test images with cloud embeddings.
        calibration: Training or validation images with cloud embeddings.
        files: Files to make.
        goldens: Number of golden images.
        any_batch: True if files take any number of images, where their format can.
        licence: Licence of the model.
        images: Origin of the images, in words.
        tuned: The model fine-tuned for int8.
        goals: Largest share of map@r to lose, where it differs from the table's.
    """

    source: Source
    retrieval: RetrievalSet
    calibration: RetrievalSet | None
    files: list[tuple[str, Precision]]
    goldens: int
    any_batch: bool
    licence: str
    images: str = ""
    tuned: Source | None = None
    goals: Mapping[Precision, float] = field(default_factory=dict[Precision, float])

    def goal(self, format: str, precision: Precision) -> float:
        """Return the largest share of map@r that a file may lose."""
        return self.goals.get(precision, offer(format, precision).goal)

    @property
    def half(self) -> bool:
        """True if a file is ordered that some runtime computes in float16."""
        return any(offer(*file).half for file in self.files)


def require_fit(order: Order) -> None:
    """Refuse sets that do not fit the model, and files that cannot be made from them.

    Raises:
        InputError: With every problem.
        SpaceMismatchError: If two parts have different spaces.
    """
    source, retrieval = order.source, order.retrieval
    require_name(source.name)
    retrieval.space.require_same(source.space, this="the retrieval set", that=f"the model {source.name}")
    problems: list[str] = []
    expected = (source.preprocessing.height, source.preprocessing.width, 3)
    if retrieval.images.shape[1:] != expected or retrieval.images.dtype != np.uint8:
        actual = f"{retrieval.images.dtype} {list(retrieval.images.shape[1:])}"
        problems.append(f"images: expected uint8 {list(expected)} as the model's preprocessing says, got {actual}")
    if order.goldens < 1:
        problems.append(f"goldens: expected at least 1, got {order.goldens}")
    if order.calibration is None:
        problems += [
            f"{name} {precision}: needs calibration images with cloud embeddings (training or validation images)"
            for name, precision in order.files
            if offer(name, precision).calibrated
        ]
    if order.tuned is not None:
        source.space.require_same(order.tuned.space, this=f"the model {source.name}", that="its version tuned for int8")
        if order.tuned.preprocessing != source.preprocessing:
            problems.append("tuned: prepares images in another way than the model")
    if problems:
        raise InputError(f"cannot export the model {source.name}:", problems)
