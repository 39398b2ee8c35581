"""Vectors of texts, read from files, and the images that each text describes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hetero.data.embeddings.file import embeddings_of, load_embeddings
from hetero.data.images import Dataset, ImageSet
from hetero.errors import InputError
from hetero.files import digest, sha256_bytes, sha256_file
from hetero.space import EmbeddingSpace, TextSide
from hetero.text.config import TextConfig
from hetero.text.described import DescribedImages
from hetero.text.table import described

_NAMED = 10


@dataclass(frozen=True)
class TextVectors:
    """Texts as vectors of an image space.

    Attributes:
        vectors: float32 [t, d], unit vectors.
        texts: The texts, or ids of them, unique.
        tower: Id of the text tower that made the vectors.
        temperature: Divides the cosines of texts with images in the towers' own training; 0 if it is not known.
        classes: Text -> the class that it describes.
        images: Text -> names of the images that it describes, where images are described one by one.
    """

    vectors: Float32[np.ndarray, "t d"]
    texts: tuple[str, ...]
    tower: str
    temperature: float
    classes: Mapping[str, str]
    images: Mapping[str, tuple[str, ...]]

    @classmethod
    def load(cls, config: TextConfig, space: EmbeddingSpace | None) -> TextVectors:
        """Read the vectors and what they describe.

        Args:
            config: Names the files.
            space: The space of the images. A file that states its space must state this one; one without is taken to
                be of it. None where it is not known yet, so that only the files are checked.

        Raises:
            InputError: When a file is missing, or texts, vectors and table do not fit together.
            SpaceMismatchError: When the vectors are of another space.
        """
        if config.fit:
            raise InputError("a text tower is fitted in the run of a recipe; expected a file of text vectors")
        path = Path(config.vectors)
        if path.is_dir():
            raise InputError(f"expected a file of text vectors at {path}, found a folder; texts are kept in one file")
        file = load_embeddings(path)
        if space and file.states_space:
            file.space.require_same(space, this=f"the texts in {path.name}", that=f"the images of {space.name}")
        if space and file.space.dimension != space.dimension:
            raise InputError(
                f"{path}: the texts have vectors of {file.space.dimension} dimensions and the images of {space.name} "
                f"of {space.dimension}; give the vectors of its own text tower"
            )
        stated = file.space.text.tower if file.states_space and file.space.text else ""
        if config.tower and stated and config.tower != stated:
            raise InputError(f"{path}: expected vectors of the text tower {config.tower}, got those of {stated}")
        classes, images = described(Path(config.describes) if config.describes else None, file.names)
        tower = config.tower or stated or sha256_file(path)
        return cls(embeddings_of(file, file.names), file.names, tower, config.temperature, classes, images)

    @property
    def identity(self) -> str:
        """Digest of everything that a student can learn from it."""
        vectors = sha256_bytes(np.ascontiguousarray(self.vectors).tobytes())
        return digest([vectors, self.texts, dict(self.classes), {text: list(of) for text, of in self.images.items()}])

    def side(self, images: Float32[np.ndarray, "n d"]) -> TextSide:
        """Return the space's contract about texts.

        Args:
            images: float32 [n, d], the cloud's unit vectors of some images, for the distance between the two means.
        """
        apart = self.vectors.mean(axis=0, dtype=np.float64) - images.mean(axis=0, dtype=np.float64)
        return TextSide(self.tower, self.temperature, float(np.linalg.norm(apart)))

    def of(self, images: ImageSet) -> DescribedImages:
        """Return the texts that describe images of a set, with the number of what each describes.

        Raises:
            InputError: When two texts share an image and one of them also describes another: then no number says which
                text belongs to which image.
        """
        labels, image_labels = self._by_image(images) if self.images else self._by_class(images)
        return DescribedImages(self.vectors, labels, image_labels, self.texts).among(np.arange(len(images)))

    def bank(self, dataset: Dataset) -> Float32[np.ndarray, "b d"]:
        """Return the texts that a student may learn from.

        Those that only describe validation and test images are left out: a student is measured by them.

        Raises:
            InputError: When none is left.
        """
        learnt = self._describing(dataset.train)
        held_out = self._describing(dataset.validation) | self._describing(dataset.test)
        kept = [row for row, text in enumerate(self.texts) if text in learnt or text not in held_out]
        if not kept:
            raise InputError(
                f"each of the {len(self.texts)} texts describes validation or test images alone, by which students are "
                "measured; add texts that describe training images, or none, for students to learn from"
            )
        return np.ascontiguousarray(self.vectors[kept])

    def prototypes(self, images: ImageSet) -> Float32[np.ndarray, "k d"]:
        """Return each class's mean direction of the texts that describe its images, of length one.

        Raises:
            InputError: When a class has no text.
        """
        known = self.of(images)
        sums = np.zeros((len(images.classes), self.vectors.shape[1]))
        # Several images of a class count as often as they are; the direction stays the same where texts name classes.
        numbers, place = np.unique(known.labels, return_inverse=True)
        of_number = np.zeros((len(numbers), self.vectors.shape[1]))
        np.add.at(of_number, place, known.vectors)
        rows = np.flatnonzero((known.image_labels >= 0) & images.labelled)
        np.add.at(sums, np.asarray(images.labels)[rows], of_number[np.searchsorted(numbers, known.image_labels[rows])])
        lengths = np.linalg.norm(sums, axis=1)
        if without := [name for name, length in zip(images.classes, lengths, strict=True) if length < 1e-6]:
            raise InputError(
                f"{len(without)} of {len(images.classes)} training classes have no text, and texts were to be the "
                "classes' prototypes:",
                without[:_NAMED],
            )
        return (sums / lengths[:, None]).astype(np.float32)

    def require_known(self, dataset: Dataset) -> None:
        """Refuse a table that names classes or images that are not in the data.

        Raises:
            InputError: With the first of them.
        """
        sets = (dataset.train, dataset.validation, dataset.test)
        if self.images:
            kind, known = "images", {name for part in sets for name in part.names}
            named = {name for names in self.images.values() for name in names}
        else:
            kind, known = "classes", {name for part in sets for name in part.classes}
            named = set(self.classes.values())
        if unknown := sorted(named - known):
            example = f"; the data's look like {min(known)!r}" if known else ""
            raise InputError(
                f"texts describe {len(unknown)} of {len(named)} {kind} that are not in the data{example}:",
                unknown[:_NAMED],
            )

    def _describing(self, images: ImageSet) -> set[str]:
        if self.images:
            names = set(images.names)
            return {text for text, of in self.images.items() if not names.isdisjoint(of)}
        classes = set(images.classes)
        return {text for text, label in self._classes.items() if label in classes}

    @property
    def _classes(self) -> Mapping[str, str]:
        return self.classes or {text: text for text in self.texts}

    def _by_class(self, images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
        number, classes = {name: place for place, name in enumerate(images.classes)}, self._classes
        labels = np.array([number.get(classes.get(text, ""), -1) for text in self.texts], np.int64)
        of_images = np.asarray(images.labels, np.int64)
        return labels, np.where(np.isin(of_images, labels), of_images, -1)

    def _by_image(self, images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
        """Number the groups of images that are described by the same texts."""
        texts_of: dict[str, list[str]] = defaultdict(list)
        for text, names in self.images.items():
            for name in names:
                texts_of[name].append(text)
        groups: dict[tuple[str, ...], int] = {}
        image_labels = np.full(len(images), -1, np.int64)
        of_text: dict[str, int] = {}
        for row, name in enumerate(images.names):
            if name not in texts_of:
                continue
            texts = tuple(sorted(texts_of[name]))
            image_labels[row] = groups.setdefault(texts, len(groups))
            for text in texts:
                if of_text.setdefault(text, int(image_labels[row])) != image_labels[row]:
                    raise InputError(
                        f"the text {text!r} describes {name!r} and also images that other texts describe with it; "
                        "images that share a text must share all of their texts"
                    )
        return np.array([of_text.get(text, -1) for text in self.texts], np.int64), image_labels
