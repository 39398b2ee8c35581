"""How a model is adapted, as data."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen

from hetero.constraints import Count, NotNegative, Positive, Seed, Share
from hetero.data.config import DataConfig
from hetero.schema import settings

Part = Literal["neck", "last-stage", "all"]


@settings
class AdaptConfig:
    """How a model is adapted, and what it must keep.

    Attributes:
        part: What of it may change, see :func:`hetero.linear.parts.divided`.
        anchor_weight: How much the old images' vectors count that are to stay where they are, beside the new images'
            that are to move; 0 lets them go.
        ridges: How much a change of the weights costs; validation decides between them.
        steps: Most steps of conjugate gradients: where there are several ridges, half of them serve all, and the others
            the one chosen.
        most_flips: The largest share of old queries right before and wrong afterwards that the old space allows. The
            whole interval must be within it: who keeps the old space has to show it, and few queries show little. So
            0.1 allows a figure of 0.08, which anchors are expected to reach, from about 700 old queries on, and with
            fewer only a smaller one.
        most_lost: How much less ``cmc@1`` of new queries the written model may have than the linear one.
        seed: Of the preconditioner's directions and of the intervals' resampling.
    """

    part: Part = "last-stage"
    anchor_weight: NotNegative = 1.0
    ridges: Annotated[tuple[Positive, ...], MinLen(1)] = (0.1, 0.01, 0.001)
    steps: Count = 20
    most_flips: Share = 0.1
    most_lost: NotNegative = 0.01
    seed: Seed = 0


@settings
class NewDomain:
    """What a run adapts a student to once it is trained.

    Attributes:
        data: Photos of the new domain, in classes of the gallery.
        gallery: File of the gallery's embeddings, in the cloud's space; empty for what the run's cloud model answered
            for the run's own images.
        labels: CSV file with the classes of that gallery; empty where an image's class is the folder that it lies in.
        anchors: Photos of the old domain; None for the run's own.
        settings: How it is solved, and what must be kept.
    """

    data: DataConfig
    gallery: str = ""
    labels: str = ""
    anchors: DataConfig | None = None
    settings: AdaptConfig = field(default_factory=AdaptConfig)

    def anchored(self, folder: Path) -> NewDomain:
        """The same, its relative paths counted from a folder."""
        files = {name: str((folder / path).resolve()) for name, path in self.files.items()}
        anchors = self.anchors and self.anchors.anchored(folder)
        return replace(self, data=self.data.anchored(folder), anchors=anchors, **files)

    @property
    def files(self) -> dict[str, str]:
        """Files that are named, by key."""
        named = {"gallery": self.gallery, "labels": self.labels}
        return {name: path for name, path in named.items() if path}

    @property
    def photos(self) -> dict[str, DataConfig]:
        """Photos that are named, by key."""
        return {"data": self.data} | ({"anchors": self.anchors} if self.anchors else {})

    def rules(self) -> list[str]:
        """What must hold between fields."""
        if not self.labels or self.gallery:
            return []
        return ["labels: are those of a gallery, and the run knows the classes of its own; name the gallery, too"]
