"""The old gallery: vectors that are not embedded again, with their classes, both as targets and as the search set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.data.embeddings.file import embeddings_of, load_embeddings
from hetero.data.embeddings.labels import classes_by_name
from hetero.data.embeddings.names import missing_names
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.lengths import lengths, scaled
from hetero.metrics.registry import in_brief
from hetero.metrics.retrieval import TaskResult, evaluate
from hetero.space import EmbeddingSpace


@dataclass(frozen=True)
class OldGallery:
    """Vectors of an old gallery.

    Attributes:
        vectors: float32 [g, d], unit vectors.
        names: One unique name a row.
        classes: The class of each row.
        space: The space of the vectors.
    """

    vectors: Float32[np.ndarray, "g d"]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    space: EmbeddingSpace

    @classmethod
    def load(cls, file: Path, table: Path | None = None) -> OldGallery:
        """Read a file of embeddings.

        Args:
            file: As ``hetero embed`` writes it.
            table: Class of each name, see :func:`hetero.data.embeddings.labels.classes_by_name`; None where an image's
                class is the folder that it lies in.

        Raises:
            InputError: When a file cannot be used, or images have no class.
        """
        stored = load_embeddings(file)
        if not stored.names:
            raise InputError(f"{file}: expected the vectors of a gallery, found none")
        return cls(
            embeddings_of(stored, stored.names), stored.names, tuple(classes_by_name(table, stored.names)), stored.space
        )

    def targets(self, images: ImageSet) -> Float32[np.ndarray, "n d"]:
        """Return the targets of images: the same item's vector, or else the middle of their class's vectors.

        Args:
            images: Each has the name of a gallery image, which is then the same item unless its class is another, or
                a class that is there.

        Raises:
            InputError: When an image has neither; names the first ten.
        """
        row = {name: index for index, name in enumerate(self.names)}
        middles = self._prototypes()
        targets: list[NDArray[np.float32] | None] = []
        for name, group in zip(images.names, classes_of(images), strict=True):
            same = name in row and group in ("", self.classes[row[name]])
            targets.append(self.vectors[row[name]] if same else middles.get(group))
        if missing := [name for name, vector in zip(images.names, targets, strict=True) if vector is None]:
            raise InputError(
                f"{len(missing)} of {len(targets)} images are neither in the gallery by name nor of a class that is "
                "there, so nothing says where they should lie:",
                missing_names(missing, row),
            )
        return np.stack([vector for vector in targets if vector is not None])

    def search(
        self,
        images: ImageSet,
        vectors: Float32[np.ndarray, "n d"],
        rows: Int64[np.ndarray, " q"],
        *,
        own: bool,
    ) -> TaskResult:
        """Measure images as queries.

        Args:
            images: Images of known classes.
            vectors: float32 [n, d], vectors of all images.
            rows: int64 [q], rows of the images that are queries; see :meth:`answerable`.
            own: True if a gallery image of the same name is the same photo, which must not find itself; otherwise it
                shows the same item, and is a correct hit.
        """
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.classes))}
        classes = classes_of(images)
        labels = np.array([numbers[classes[row]] for row in rows.tolist()], np.int64)
        values = evaluate(
            vectors[rows],
            self.vectors,
            labels,
            np.array([numbers[name] for name in self.classes], np.int64),
            exclude=self._selves(images)[rows] if own else None,
            metrics=in_brief(),
        )
        return TaskResult(("old gallery",), (values,), (labels,))

    def answerable(self, images: ImageSet, *, own: bool) -> Int64[np.ndarray, " q"]:
        """Return the rows of the images that have another image of their class in the gallery.

        Args:
            images: Images; those without a label are left out.
            own: As for :meth:`search`.

        Raises:
            InputError: When there is no such image.
        """
        sizes = Counter(self.classes)
        selves = self._selves(images) if own else np.full(len(images), -1)
        rows = [
            row
            for row, (group, place) in enumerate(zip(classes_of(images), selves.tolist(), strict=True))
            if sizes[group] > (place >= 0 and self.classes[place] == group)
        ]
        if not rows:
            raise InputError(
                f"none of {len(images)} queries has an image of its class in the gallery, other than itself"
            )
        return np.array(rows, np.int64)

    def _selves(self, images: ImageSet) -> NDArray[np.int64]:
        row = {name: index for index, name in enumerate(self.names)}
        return np.array([row.get(name, -1) for name in images.names], np.int64)

    def _prototypes(self) -> dict[str, NDArray[np.float32]]:
        names, groups = np.unique(self.classes, return_inverse=True)
        sums = np.zeros((len(names), self.vectors.shape[1]), np.float64)
        np.add.at(sums, groups, self.vectors.astype(np.float64))
        length = lengths(sums)
        defined = length > 0
        return dict(zip(names[defined].tolist(), scaled(sums[defined], length[defined]), strict=True))


def classes_of(images: ImageSet) -> list[str]:
    """Return the class of each image; empty for an image without a label."""
    names = (*images.classes, "")
    return [names[min(int(label), len(images.classes))] for label in np.asarray(images.labels)]
