"""A gallery that a bundle carries, so that an application searches without a network. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from export.bundle.handing_on import copy_files
from export.bundle.manifest import GALLERY, GRAPH, IDS, MANIFEST, SIGNATURE, FileEntry, GalleryEntry, Manifest
from export.bundle.reading import Bundle, read_bundle, require_place_for_copy
from export.bundle.signing import sign
from hetero.errors import InputError, IntegrityError
from hetero.files import sha256_file, write_json
from hetero.gallery.embedded.graph import new_graph
from hetero.gallery.engine import CONNECTIVITY
from hetero.gallery.opening import open_gallery, without_password
from hetero.gallery.store import DEFAULT_EFFORT, Page
from hetero.storage.directories import replaced_directory

_LONGEST_LINE = 6 * 1024 + 3
"""Bytes of an id of 1,024 bytes, each of them escaped, between quotation marks."""


def carry_gallery(
    bundle: Path,
    address: str,
    out: Path,
    *,
    tenant: str = "",
    effort: int = DEFAULT_EFFORT,
    key: Path | None = None,
) -> GalleryEntry:
    """Copy a bundle, with the items of a gallery store in it; a gallery that it carries already is replaced.

    Vectors are stored as float16. The same items, in the same order, give the same bytes.

    Args:
        bundle: The bundle.
        address: The gallery's address, see :func:`hetero.gallery.opening.open_gallery`.
        out: The copy; an earlier bundle there is replaced.
        tenant: The tenant whose items are taken.
        effort: Candidates that an application's search shall keep, and that a verification's does.
        key: An Ed25519 private key (PEM) that signs the copy; a signed bundle needs one.

    Raises:
        InputError: If there is no bundle, no gallery or no item, ``out`` is something else, or the bundle is signed and
            no key is given.
        SpaceMismatchError: If the gallery serves another space than the bundle's.
        IntegrityError: If the bundle or the gallery is damaged.
    """
    opened = read_bundle(bundle, whole=False)
    require_place_for_copy(bundle, out)
    if (bundle / SIGNATURE).exists() and key is None:
        raise InputError(f"{bundle} is signed, and its signature is not that of a bundle with a gallery: give --key")
    if effort < 1:
        raise InputError(f"effort: expected at least 1, got {effort}")
    with open_gallery(address, read_only=True) as store:
        shown, space = without_password(address), opened.space
        store.space.require_same(space, this=f"the gallery {shown}", that=f"the bundle {opened.manifest.name}")
        with replaced_directory(out) as fresh:
            count = _write(fresh, (page for page in store.pages() if page.tenant == tenant), space.dimension)
            if not count:
                raise InputError(f"the gallery {shown} holds no item of the tenant {tenant!r}: nothing to carry")
            entry = GalleryEntry(count, effort, CONNECTIVITY, version("usearch"))
            write_json(fresh / MANIFEST, _with_gallery(opened, fresh, entry).to_dict())
            if key is not None:
                sign(fresh, key)
            read_bundle(fresh, whole=False)
    return entry


def carried_ids(bundle: Bundle) -> list[str]:
    """Return the ids of the items that a bundle carries; the graph's key of an item is its place among them.

    Raises:
        InputError: If it carries none.
        IntegrityError: If they are not as many as the manifest says, or no ids.
    """
    entry, path = bundle.manifest.gallery, bundle.path / IDS
    if entry is None:
        raise InputError(f"{bundle.path} carries no gallery; hetero bundle gallery makes a copy that does")
    with path.open("rb") as stream:
        lines = [stream.readline(_LONGEST_LINE + 1) for _ in range(entry.items)]
        rest = stream.read(1)
    try:
        ids: list[Any] = [json.loads(line) if len(line) <= _LONGEST_LINE else None for line in lines]
    except (ValueError, RecursionError):
        ids = []
    if rest or len(ids) != entry.items or not all(isinstance(name, str) and name for name in ids):
        raise IntegrityError(f"{path}: expected {entry.items} ids, each as JSON in a line of its own")
    return ids


def _write(folder: Path, pages: Iterator[Page], dimension: int) -> int:
    """Write the graph and the ids of items; return their number."""
    try:
        graph = new_graph(dimension, "float16", removable=False)
    except ImportError as error:
        raise InputError(
            f"a bundle's gallery needs a package ({error}); install the extra: pip install 'hetero[gallery]'"
        ) from None
    (folder / GALLERY).mkdir()
    count = 0
    with (folder / IDS).open("w", encoding="utf-8", newline="\n") as stream:
        for page in pages:
            keys = np.arange(count, count + len(page.ids), dtype=np.uint64)
            # By several threads the graph would be another one each time.
            graph.add(keys, page.vectors, threads=1)
            stream.writelines(f"{json.dumps(name, ensure_ascii=False)}\n" for name in page.ids)
            count += len(page.ids)
    graph.save(str(folder / GRAPH))
    return count


def _with_gallery(bundle: Bundle, fresh: Path, entry: GalleryEntry) -> Manifest:
    """Copy the bundle's other files, and return its manifest with the gallery."""
    others = tuple(file for file in bundle.manifest.files if file.path not in (GRAPH, IDS))
    copy_files(bundle.path, fresh, (file.path for file in others))
    carried = [FileEntry(name, sha256_file(fresh / name), (fresh / name).stat().st_size) for name in (IDS, GRAPH)]
    return replace(bundle.manifest, files=(*others, *carried), gallery=entry)
