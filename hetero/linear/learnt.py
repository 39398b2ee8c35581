"""What a change of weights was solved from: enough to solve again, and to tell other data from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from hetero.data.config import DataConfig, path_text
from hetero.data.embeddings.names import missing_names
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.files import digest, sha256_bytes, sha256_file, write_json
from hetero.linear.config import AdaptConfig
from hetero.linear.gallery import OldGallery, classes_of
from hetero.schema import parse_file, record

LEARNT = "learnt.json"
_AT_ONCE = 256


PHOTOS = ("data", "anchors")


@record
class Places:
    """Where everything lay, as absolute paths.

    Attributes:
        model: Directory of the model before.
        data: Photos of the new domain, and how they are split.
        gallery: File of the gallery's embeddings.
        anchors: Photos of the old domain, likewise.
        labels: Table of the gallery's classes; None for none.
    """

    model: str
    data: DataConfig
    gallery: str
    anchors: DataConfig
    labels: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Path | None], recorded: Places | None = None) -> Places:
        """Wherever they are named from.

        Args:
            given: Paths by the names of the fields; None where nothing was given. Photos are a folder or a CSV file.
            recorded: Says what was not given, and how photos are split that are of the same kind.

        Raises:
            InputError: When neither says where something lies.
        """
        chosen: dict[str, Any] = {} if recorded is None else dict(vars(recorded))
        for name, path in given.items():
            if path is not None:
                chosen[name] = photos_at(path, chosen.get(name)) if name in PHOTOS else path_text(path)
        if missing := [f"--{name}" for name in ("model", "data", "gallery", "anchors") if name not in chosen]:
            raise InputError(
                f"nothing says where everything lies: the model was adapted from Python; give {', '.join(missing)}"
            )
        return cls(**chosen)


def photos_at(path: Path, like: DataConfig | None = None) -> DataConfig:
    """Photos in a folder or a CSV file.

    Args:
        path: Of these.
        like: How they are split, if they are of the same kind; None for the defaults.
    """
    kind = "csv" if path.suffix == ".csv" else "folder"
    if like is not None and like.kind == kind:
        return replace(like, path=path_text(path))
    return DataConfig(kind=kind, path=path_text(path))


@record
class Learnt:
    """A solved problem's parts, as digests.

    Attributes:
        model: SHA-256 of the weights before.
        gallery: Of its vectors, names and classes.
        anchors: Of the old training images in their order; empty where none were held.
        photos: Of each new training image, with its class, by name.
        config: How it was solved, with the one ridge that was chosen.
        places: Where everything lay; None when it was adapted from Python.
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
    ) -> Learnt:
        """Take digests.

        Args:
            model: Directory of the model before.
            new: Training images as that model takes them.
            old: Anchors as that model takes them.
            gallery: Gives the targets.
            config: With the one ridge that was chosen.
            places: Where everything lies.
        """
        photos = dict(zip(new.names, _digests(new), strict=True))
        return cls(
            sha256_file(model / "model.safetensors"), _of(gallery), _anchors(old, config), photos, config, places
        )

    def without(self, names: Iterable[str]) -> Learnt:
        """The same with fewer photos, each of the weight that it had: the ridge and the anchors count accordingly."""
        gone = set(names)
        left = {name: one for name, one in self.photos.items() if name not in gone}
        share = len(left) / len(self.photos)
        (ridge,) = self.config.ridges
        weight = self.config.anchor_weight / share
        return replace(self, photos=left, config=replace(self.config, ridges=(ridge / share,), anchor_weight=weight))

    def require_some(self, names: Sequence[str]) -> None:
        """Refuse names that cannot be left out.

        Raises:
            InputError: When there are none, one is of no photo that was learnt from, or all would go.
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

    def rows(self, model: Path, new: ImageSet, old: ImageSet, gallery: OldGallery) -> Int64[NDArray[np.int64], " n"]:
        """Find the photos that were learnt from, if nothing changed since; others may have joined them.

        Args:
            model: As for :meth:`of`.
            new: As for :meth:`of`.
            old: As for :meth:`of`.
            gallery: As for :meth:`of`.

        Returns:
            int64 [n], rows of ``new`` in the order of ``photos``.

        Raises:
            InputError: With everything that is not what it was.
        """
        row = {name: index for index, name in enumerate(new.names)}
        found = [name for name in self.photos if name in row]
        held = np.array([row[name] for name in found], np.int64)
        changed = [name for name, one in zip(found, _digests(new, held), strict=True) if one != self.photos[name]]
        problems = [
            *([f"{model}: its weights are others"] if sha256_file(model / "model.safetensors") != self.model else []),
            *(["the gallery: its vectors, names or classes are others"] if _of(gallery) != self.gallery else []),
            *(["the anchors: others, or in another order"] if _anchors(old, self.config) != self.anchors else []),
            *_some([name for name in self.photos if name not in row], "are not there"),
            *_some(changed, "have other pixels or another class"),
        ]
        if problems:
            raise InputError("this is not what the model was adapted to; bring it back as it was:", problems)
        return held

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> Learnt:
        """Read the record of an adaptation.

        Raises:
            InputError: When the directory has none.
            IntegrityError: When it is not one.
        """
        if not (directory / LEARNT).is_file():
            raise InputError(
                f"{directory} does not say what was learnt from: expected {LEARNT}, as hetero adapt writes"
            )
        return parse_file(cls, directory / LEARNT)


def _of(gallery: OldGallery) -> str:
    return digest([sha256_bytes(gallery.vectors.tobytes()), gallery.names, gallery.classes])


def _anchors(old: ImageSet, config: AdaptConfig) -> str:
    return digest(_digests(old)) if config.anchor_weight else ""


def _digests(images: ImageSet, rows: Int64[NDArray[np.int64], " n"] | None = None) -> list[str]:
    """Of each image's pixels and class."""
    groups = classes_of(images)
    chosen = np.arange(len(images)) if rows is None else rows
    found: list[str] = []
    for start in range(0, len(chosen), _AT_ONCE):
        part = chosen[start : start + _AT_ONCE]
        for row, pixels in zip(part.tolist(), images.images[part], strict=True):
            found.append(digest([groups[row], sha256_bytes(np.ascontiguousarray(pixels).tobytes())]))
    return found


def _some(names: Sequence[str], what: str) -> list[str]:
    return [f"{len(names)} photos {what}, for instance {names[0]}"] if names else []
