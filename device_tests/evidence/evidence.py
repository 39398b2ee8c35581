"""A release manager's own evidence: their gallery and their photos, which no bundle can have been made to fit.

All other references of a bundle travel in it. A gallery file holds the cloud's vectors under names; photos are
laid out as any data set (:mod:`hetero.data.sources.folder`, :mod:`hetero.data.sources.csv`). All problems with them
are reported before a model runs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from device_tests.evidence.gallery import OwnGallery, classes_by_name
from export.bundle.reading import Bundle
from hetero.data.decoding.parallel import in_parallel
from hetero.data.sources.listing import ListedImage, Listing
from hetero.data.sources.walk import images_below, reserved
from hetero.errors import InputError
from hetero.files import digest, sha256_file
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

_LARGEST = 1 << 30
"""Limit in bytes on decoded photos: they are passed to every model at once."""
_FEWEST = 3
"""Least number of vectors for photos without labels to search: their own, the nearest and another."""
_NAMED = 5


@dataclass(frozen=True)
class OwnEvidence:
    """A retrieval task for a bundle's models.

    Attributes:
        photos: The queries, with the contents of their files.
        gallery: float32 [g, d], unit vectors of the cloud.
        space: Embedding space of the gallery.
        labels: int64 [q], the class of each query; None without labels.
        gallery_labels: int64 [g], the class of each vector of the gallery, -1 for a class without queries; None
            without labels.
        own: int64 [q], the row of the gallery that is the query itself, which is excluded; -1 for none.
        cloud: float32 [q, d], the cloud's own vectors of the queries; None if the gallery's file has none.
        about: Its description, for every file of a verdict: names, digests and counts.
    """

    photos: Listing
    gallery: Float32[np.ndarray, "g d"]
    space: EmbeddingSpace
    labels: Int64[np.ndarray, " q"] | None
    gallery_labels: Int64[np.ndarray, " g"] | None
    own: Int64[np.ndarray, " q"]
    cloud: Float32[np.ndarray, "q d"] | None
    about: dict[str, Any]

    @classmethod
    def read(cls, gallery: Path, queries: Path) -> OwnEvidence:
        """Read and check a gallery and the photos that search it.

        Photos of a split ``test`` are the queries if the data names splits, those with the role of a query if it names
        roles, and otherwise all. A photo whose name is also in the gallery's file is that photo: its vector is the
        cloud's own answer for it, and is excluded from its search.

        Args:
            gallery: A file of embeddings, or a gallery directory.
            queries: A folder with a sub-folder for each class, or a CSV.

        Raises:
            InputError: For photos or a gallery that cannot be used, with every problem of a kind.
            IntegrityError: If the gallery is damaged.
        """
        # Imported late: most verifications have no evidence, and the modules that read data take a tenth of a second.
        from hetero.data.checking.check import config_for
        from hetero.data.prepare import find

        own_gallery = OwnGallery.read(gallery)
        listing = find(config_for(queries))
        if queries.is_dir() and (empty := _empty_folders(queries)):
            raise InputError(f"{queries}: {len(empty)} folders hold no image; fill or remove them:", empty[:_NAMED])
        query_entries = _queries(listing)
        roles = {entry.name: entry.is_gallery is not False for entry in listing.entries}
        rows = _rows_of(query_entries, own_gallery)
        cloud = None if rows is None else own_gallery.vectors[rows]
        # A photo that is only a query is excluded from every search.
        searched = np.flatnonzero([roles.get(name, True) for name in own_gallery.names])
        if not len(searched):
            raise InputError(f"{own_gallery.name} holds no vector that is searched: all of them are of queries alone")
        labels, gallery_labels = _classes(
            query_entries, listing, [own_gallery.names[row] for row in searched], cloud is not None
        )
        own = _own_rows(len(query_entries), rows, searched)
        if labels is not None and gallery_labels is not None:
            _require_answers(query_entries, labels, gallery_labels, own)
        elif len(searched) < _FEWEST:
            raise InputError(
                f"{own_gallery.name} holds {len(searched)} vectors to search among; expected at least {_FEWEST}"
            )
        photos = _identified(Listing(listing.name, listing.layout, tuple(query_entries), listing.notes))
        about = {
            "gallery": {
                "name": own_gallery.name,
                "sha256": own_gallery.sha256,
                "names_sha256": digest(own_gallery.names),
                "vectors": len(searched),
            },
            "queries": {
                "name": listing.name,
                "sha256": digest([[one.name, one.label, one.box, one.content] for one in photos.entries]),
                "photos": len(query_entries),
                "classes": 0 if labels is None else len(np.unique(labels)),
            },
            "cloud_vectors_of_queries": cloud is not None,
            "space_id": own_gallery.space.space_id,
        }
        return cls(photos, own_gallery.vectors[searched], own_gallery.space, labels, gallery_labels, own, cloud, about)

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.photos.entries)

    def require_fits(self, bundle: Bundle) -> None:
        """Refuse a bundle whose vectors do not belong in the gallery.

        Raises:
            SpaceMismatchError: If they are of another space.
            InputError: If they are of another length.
        """
        name = bundle.manifest.name
        self.space.require_same(bundle.space, this="your gallery", that=f"the bundle {name}")
        if self.gallery.shape[1] != bundle.space.dimension:
            raise InputError(
                f"your gallery holds vectors of {self.gallery.shape[1]} numbers and the bundle {name} makes vectors of "
                f"{bundle.space.dimension}, although both name one space"
            )

    def images(self, preprocessing: Preprocessing) -> UInt8[np.ndarray, "q h w 3"]:
        """Return the photos as a bundle's contract prepares them.

        Raises:
            InputError: If some cannot be read, were changed since, or are too many for their size.
        """
        from hetero.data.decoding.decoded import decode_unkept

        size = len(self) * preprocessing.height * preprocessing.width * 3
        if size > _LARGEST:
            raise InputError(
                f"{self.photos.name}: {len(self)} photos of {preprocessing.height} x {preprocessing.width} pixels take "
                f"{size / 1e9:.1f} GB, more than the {_LARGEST / 1e9:.1f} GB that a model is given at once; take fewer"
            )
        return np.asarray(decode_unkept(self.photos, preprocessing, limit=_LARGEST)[:])


def _queries(data: Listing) -> list[ListedImage]:
    tested = any(entry.split for entry in data.entries)
    queries = [entry for entry in data.entries if not tested or entry.split == "test"]
    queries = [entry for entry in queries if entry.is_query is not False]
    if not queries:
        raise InputError(
            f"{data.name} holds no query: where data names splits its test photos ask, and where it names roles those "
            "that are queries"
        )
    without = [entry.name for entry in queries if not entry.label]
    if without and len(without) < len(queries):
        problem = f"{data.name}: {len(without)} of {len(queries)} queries have no label; give all of them one, or none:"
        raise InputError(problem, without[:_NAMED])
    return queries


def _rows_of(entries: Sequence[ListedImage], gallery: OwnGallery) -> Int64[np.ndarray, " q"] | None:
    """Return the rows of the gallery's file that are the queries themselves; None if none of them is in it."""
    row = {name: place for place, name in enumerate(gallery.names)}
    missing = [entry.name for entry in entries if entry.name not in row]
    if len(missing) == len(entries):
        return None
    if missing:
        raise InputError(
            f"{len(entries) - len(missing)} of {len(entries)} queries have the name of a vector in {gallery.name}, "
            "which says that it is of the same photo; give vectors of all queries or of none, and other photos other "
            "names. Without one:",
            missing[:_NAMED],
        )
    return np.array([row[entry.name] for entry in entries], np.int64)


def _own_rows(
    count: int, rows: Int64[np.ndarray, " q"] | None, searched: Int64[np.ndarray, " g"]
) -> Int64[np.ndarray, " q"]:
    """Return each query's own row among the searched vectors; -1 for none."""
    if rows is None:
        return np.full(count, -1, np.int64)
    place = {row: index for index, row in enumerate(searched.tolist())}
    return np.array([place.get(row, -1) for row in rows.tolist()], np.int64)


def _classes(
    query_entries: Sequence[ListedImage], listing: Listing, names: Sequence[str], cloud_knows: bool
) -> tuple[Int64[np.ndarray, " q"] | None, Int64[np.ndarray, " g"] | None]:
    """Return the class of each query and of each vector of the gallery; None for both without labels."""
    classes = sorted({entry.label for entry in query_entries} - {""})
    if not classes:
        if not cloud_knows:
            raise InputError(
                f"{listing.name}: the queries have no labels, and the gallery has no vectors of them, so nothing says "
                "what they should find; lay them out as a class a folder, give a CSV with labels, or add the cloud's "
                "vectors of these very photos to the gallery, under their names"
            )
        return None, None
    number = {name: place for place, name in enumerate(classes)}
    listed = {entry.name: entry.label for entry in listing.entries if entry.label}
    of_gallery = classes_by_name(names, classes, listed)
    return (
        np.array([number[entry.label] for entry in query_entries], np.int64),
        np.array([number.get(label, -1) for label in of_gallery], np.int64),
    )


def _require_answers(
    entries: Sequence[ListedImage],
    labels: Int64[np.ndarray, " q"],
    gallery_labels: Int64[np.ndarray, " g"],
    own: Int64[np.ndarray, " q"],
) -> None:
    """Refuse queries whose class is not in the gallery."""
    sizes = Counter(gallery_labels.tolist())
    unanswered = [
        entry.label
        for entry, label, row in zip(entries, labels.tolist(), own.tolist(), strict=True)
        if sizes[label] - (row >= 0 and gallery_labels[row] == label) < 1
    ]
    if unanswered:
        raise InputError(
            f"{len(unanswered)} of {len(entries)} queries have no image of their class in the gallery. A vector of "
            "it is of a class when a folder of its name is called so, or the CSV of the queries lists it. Without one:",
            sorted(set(unanswered))[:_NAMED],
        )


def _empty_folders(root: Path) -> list[str]:
    """Return folders below a root without an image at any depth, the outermost of each."""
    full = {parts[:depth] for parts in images_below(root).images for depth in range(len(parts))}
    empty: list[str] = []
    for place, folders, _ in os.walk(root):
        above = Path(place).relative_to(root).parts
        folders[:] = sorted(name for name in folders if not reserved(name))
        empty += ["/".join((*above, name)) for name in folders if (*above, name) not in full]
        folders[:] = [name for name in folders if (*above, name) in full]
    return empty


def _identified(photos: Listing) -> Listing:
    """Return the photos with the contents of their files, so that the digest names the decoded content."""
    entries = photos.entries
    digests = in_parallel(sha256_file, [entry.path for entry in entries], progress=f"reading {photos.name}")
    return photos.with_entries(replace(entry, content=content) for entry, content in zip(entries, digests, strict=True))
