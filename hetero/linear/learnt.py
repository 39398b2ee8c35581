"""The record of an adaptation's inputs: enough to solve again, and to notice when the data have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64

from hetero.data.config import DataConfig, path_text
from hetero.data.embeddings.names import missing_names
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.files import digest, sha256_bytes, sha256_file, write_json
from hetero.linear.config import AdaptConfig
from hetero.linear.gallery import OldGallery, classes_of
from hetero.recognition.kinds import ADAPTED, MODEL
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file, record

LEARNT = "learnt.json"
_AT_ONCE = 256


PHOTOS = ("data", "anchors")


@record
class Places:
    """The absolute paths of an adaptation's inputs.

    Attributes:
        model: Directory of the model before.
        data: Photos of the new domain, and their split.
        gallery: File of the gallery's embeddings.
        anchors: Photos of the old domain, likewise.
        labels: Table of the gallery's classes; None for none.
        anchor_factors: File of factors that stood in for the anchors; None for none.
    """

    model: str
    data: DataConfig
    gallery: str
    anchors: DataConfig
    labels: str | None = None
    anchor_factors: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Path | None], recorded: Places | None = None) -> Places:
        """Combine paths from options with recorded ones.

        Args:
            options: Paths by the names of the fields; None where an option is not set. Photos are a folder or a CSV
                file.
            recorded: Paths where options are not set, and the split of photos of the same kind.

        Raises:
            InputError: When a path is in neither.
        """
        values: dict[str, Any] = {} if recorded is None else dict(vars(recorded))
        for name, path in options.items():
            if path is not None:
                values[name] = photos_at(path, values.get(name)) if name in PHOTOS else path_text(path)
        if missing := [f"--{name}" for name in ("model", "data", "gallery", "anchors") if name not in values]:
            raise InputError(
                f"nothing says where everything lies: the model was adapted from Python; give {', '.join(missing)}"
            )
        return cls(**values)

    @property
    def factors(self) -> Path | None:
        """File of factors that stood in for the anchors; None for none."""
        return None if self.anchor_factors is None else Path(self.anchor_factors)


def photos_at(path: Path, like: DataConfig | None = None) -> DataConfig:
    """Describe photos in a folder or a CSV file.

    Args:
        path: Path of the folder or file.
        like: Gives the split, if it is of the same kind; None for the defaults.
    """
    kind = "csv" if path.suffix == ".csv" else "folder"
    if like is not None and like.kind == kind:
        return replace(like, path=path_text(path))
    return DataConfig(kind=kind, path=path_text(path))


@record
class Learnt:
    """The inputs of a solved problem, as digests.

    Attributes:
        model: SHA-256 of the weights before.
        gallery: Digest of its vectors, names and classes.
        anchors: Digest of the old training images in their order, or of the file of factors that stood in for them;
            empty where nothing held the old domain.
        photos: Digest of each new training image with its class, by name.
        config: Settings, with the one ridge that was chosen.
        places: Paths of the inputs; None when the model was adapted from Python.
        schema: Version of this record.
    """

    model: str
    gallery: str
    anchors: str
    photos: dict[str, str]
    config: AdaptConfig
    places: Places | None = None
    schema: Literal["hetero/learnt/1"] = "hetero/learnt/1"

    @classmethod
    def of(
        cls,
        model: Path,
        new: ImageSet,
        old: ImageSet,
        gallery: OldGallery,
        config: AdaptConfig,
        places: Places | None = None,
        anchor_factors: Path | None = None,
    ) -> Learnt:
        """Compute the digests.

        Args:
            model: Directory of the model before.
            new: Training images, prepared for that model.
            old: Anchors, prepared for that model.
            gallery: Provides the targets.
            config: Settings, with the one ridge that was chosen.
            places: Paths of the inputs.
            anchor_factors: File of factors that stood in for the anchors; None for none.
        """
        photos = dict(zip(new.names, _digests(new), strict=True))
        held = _anchors(old, config, anchor_factors)
        return cls(sha256_file(model / "model.safetensors"), _gallery(gallery), held, photos, config, places)

    def without(self, names: Iterable[str]) -> Learnt:
        """Leave out photos; the others keep their weight, so the ridge and the anchors' weight change accordingly."""
        deleted = set(names)
        photos = {name: digest for name, digest in self.photos.items() if name not in deleted}
        share = len(photos) / len(self.photos)
        (ridge,) = self.config.ridges
        weight = self.config.anchor_weight / share
        return replace(self, photos=photos, config=replace(self.config, ridges=(ridge / share,), anchor_weight=weight))

    def require_some(self, names: Sequence[str]) -> None:
        """Refuse names that cannot be left out.

        Raises:
            InputError: When there are no names, one belongs to no training photo, or no photo would remain.
        """
        if not names:
            raise InputError("expected names of photos to forget, found none")
        if unknown := [name for name in names if name not in self.photos]:
            raise InputError(
                f"{len(unknown)} of {len(names)} names are of no photo that the model was adapted to:",
                missing_names(unknown, self.photos),
            )
        if len(set(names)) == len(self.photos):
            raise InputError(
                f"all {len(self.photos)} photos would be forgotten: what is left is the model before it was adapted"
            )

    def rows(
        self, model: Path, new: ImageSet, old: ImageSet, gallery: OldGallery, anchor_factors: Path | None = None
    ) -> Int64[np.ndarray, " n"]:
        """Find the training photos, if nothing has changed since; others may have been added to them.

        Args:
            model: As for :meth:`of`.
            new: As for :meth:`of`.
            old: As for :meth:`of`.
            gallery: As for :meth:`of`.
            anchor_factors: As for :meth:`of`.

        Returns:
            int64 [n], rows of ``new`` in the order of ``photos``.

        Raises:
            InputError: With every input that has changed.
        """
        row = {name: index for index, name in enumerate(new.names)}
        names = [name for name in self.photos if name in row]
        rows = np.array([row[name] for name in names], np.int64)
        digests = zip(names, _digests(new, rows), strict=True)
        changed = [name for name, current in digests if current != self.photos[name]]
        held = _anchors(old, self.config, anchor_factors)
        what = "the anchors" if anchor_factors is None else "the anchors' factors"
        problems = [
            *([f"{model}: its weights are others"] if sha256_file(model / "model.safetensors") != self.model else []),
            *(["the gallery: its vectors, names or classes are others"] if _gallery(gallery) != self.gallery else []),
            *([f"{what}: others, or in another order"] if held != self.anchors else []),
            *_some([name for name in self.photos if name not in row], "are not there"),
            *_some(changed, "have other pixels or another class"),
        ]
        if problems:
            raise InputError("this is not what the model was adapted to; bring it back as it was:", problems)
        return rows

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> Learnt:
        """Read the record of an adaptation.

        Raises:
            InputError: When the directory has no record.
            IntegrityError: When the file is not a record.
        """
        refuse_others(directory, ADAPTED, MODEL)
        if not (directory / LEARNT).is_file():
            raise InputError(
                f"{directory} does not say what was learnt from: expected {LEARNT}, as hetero adapt writes"
            )
        return parse_file(cls, directory / LEARNT)


def _gallery(gallery: OldGallery) -> str:
    return digest([sha256_bytes(gallery.vectors.tobytes()), gallery.names, gallery.classes])


def _anchors(old: ImageSet, config: AdaptConfig, factors: Path | None) -> str:
    if not config.anchor_weight:
        return ""
    return digest(_digests(old)) if factors is None else sha256_file(factors)


def _digests(images: ImageSet, rows: Int64[np.ndarray, " n"] | None = None) -> list[str]:
    """Return a digest of each image's pixels and class."""
    groups = classes_of(images)
    rows = np.arange(len(images)) if rows is None else rows
    digests: list[str] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        for row, pixels in zip(part.tolist(), images.images[part], strict=True):
            digests.append(digest([groups[row], sha256_bytes(np.ascontiguousarray(pixels).tobytes())]))
    return digests


def _some(names: Sequence[str], what: str) -> list[str]:
    return [f"{len(names)} photos {what}, for instance {names[0]}"] if names else []
