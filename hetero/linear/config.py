"""The settings of an adaptation."""

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
    """The settings of an adaptation, and the limits on its loss.

    Attributes:
        part: Part of the model that may change, see :func:`hetero.linear.parts.divided`.
        anchor_weight: Weight of the old images' vectors, which are to stay where they are, relative to the new images',
            which are to move; 0 leaves the old ones free.
        ridges: Penalties on a change of the weights; validation chooses among them.
        steps: Most steps of conjugate gradients: with several ridges, half of them serve all ridges, and the rest the
            chosen one.
        most_flips: The largest share of old queries that may be right before and wrong afterwards in the old space.
            The whole interval must lie below it: a claim to keep the old space needs evidence, and few queries are
            little evidence. So 0.1 allows a figure of 0.08, which anchors are expected to reach, from about 700 old
            queries on, and only smaller figures with fewer queries.
        most_lost: Largest loss in ``cmc@1`` of new queries from the linear model to the written one.
        seed: Seed of the preconditioner's directions and of the intervals' resampling.
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
    """A new domain that a run adapts a student to once it is trained.

    Attributes:
        data: Photos of the new domain, in classes of the gallery.
        gallery: File of the gallery's embeddings, in the cloud's space; empty for the embeddings of the run's own
            images by its cloud model.
        labels: CSV file with the classes of that gallery; empty where an image's class is the folder that it lies in.
        anchors: Photos of the old domain; None for the run's own.
        settings: Settings of the solver, and limits on the loss.
    """

    data: DataConfig
    gallery: str = ""
    labels: str = ""
    anchors: DataConfig | None = None
    settings: AdaptConfig = field(default_factory=AdaptConfig)

    def anchored(self, folder: Path) -> NewDomain:
        """Return the domain with its relative paths resolved from a folder."""
        files = {name: str((folder / path).resolve()) for name, path in self.files.items()}
        anchors = self.anchors and self.anchors.anchored(folder)
        return replace(self, data=self.data.anchored(folder), anchors=anchors, **files)

    @property
    def files(self) -> dict[str, str]:
        """Files that are set, by key."""
        files = {"gallery": self.gallery, "labels": self.labels}
        return {name: path for name, path in files.items() if path}

    @property
    def photos(self) -> dict[str, DataConfig]:
        """Photos that are set, by key."""
        return {"data": self.data} | ({"anchors": self.anchors} if self.anchors else {})

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        if not self.labels or self.gallery:
            return []
        return ["labels: are those of a gallery, and the run knows the classes of its own; name the gallery, too"]
