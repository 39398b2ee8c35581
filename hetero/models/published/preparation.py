"""The preparation of a published network's images: what its library states, in the contract's terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hetero.errors import InputError
from hetero.preprocessing import Preprocessing, Resize

NOT_SQUARE = "it cuts the centre out of a picture that is not square"


@dataclass(frozen=True)
class Preparation:
    """What a library says of the images of one network.

    Attributes:
        size: Height and width of the images that the network takes; zeros when they are not known.
        mean: Per-channel mean (RGB, of values in 0..1); empty when it is not known.
        std: Their standard deviation.
        filter: Name of the resampling filter.
        resize: See :class:`hetero.preprocessing.Preprocessing`.
        cut_from: Likewise; the size itself where a picture is cut on its longer side alone.
        cut_rounds: Likewise.
        pad_value: Likewise.
        obstacles: What the contract cannot express, in words.
    """

    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]
    filter: str
    resize: Resize = "squash"
    cut_from: int | None = None
    cut_rounds: Literal["even", "down"] = "even"
    pad_value: int = 255
    obstacles: tuple[str, ...] = ()

    def contract(self, name: str) -> Preprocessing:
        """Return the same preparation as the contract states it.

        Args:
            name: Name of the network in messages.

        Raises:
            InputError: With everything that the contract cannot express.
        """
        obstacles = list(self.obstacles)
        if self.filter not in ("bilinear", "bicubic"):
            obstacles.append(f"it resizes with the filter {self.filter}, and hetero with bilinear or bicubic")
        if not obstacles:
            try:
                return self._contract()
            except InputError as error:
                obstacles = error.problems or [str(error)]
        height, width = self.size if all(self.size) else (224, 224)
        raise InputError(
            f"{name}: hetero cannot prepare images as the network asks; where yours are prepared otherwise, state how, "
            f'for instance preprocessing = {{ height = {height}, width = {width}, resize = "crop" }}:',
            obstacles,
        )

    def _contract(self) -> Preprocessing:
        height, width = self.size
        values: dict[str, Any] = {
            "resize": self.resize,
            "filter": self.filter,
            "pad_value": self.pad_value,
            "mean": tuple(self.mean),
            "std": tuple(self.std),
            "cut_from": self.cut_from,
            "cut_rounds": self.cut_rounds,
        }
        return Preprocessing(height=height, width=width, **values)
