"""Folders and tables of single image files, on the disk or in a store: each file is a source of one image."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hetero.data.config import DataConfig
from hetero.data.contents import contents
from hetero.data.decoding.parallel import in_parallel
from hetero.data.index.file_images import FileImages
from hetero.data.index.image_index import SourceFile, place_digest
from hetero.data.index.places import (
    Stamp,
    filesystem,
    is_remote,
    local_path,
    opened,
    remote_stamp,
    store_errors,
    url_of,
    url_path,
)
from hetero.data.sources.csv import read_csv, read_rows
from hetero.data.sources.folder import listed, read_folder
from hetero.data.sources.listing import Listing
from hetero.data.sources.walk import EXTENSIONS, FoundImages, PassedOver, reserved
from hetero.errors import InputError


@dataclass(frozen=True)
class ListedFiles:
    """The images of a folder or a table, listed once and not yet written to an index.

    Attributes:
        listing: The images.
        sources: The files, each once, in the order in which images first lie in them.
        places: The source of each image.
    """

    listing: Listing
    sources: list[SourceFile]
    places: list[int]

    def rows(self) -> FileImages:
        """Return the images as columns."""
        rows = FileImages()
        for entry, place in zip(self.listing.entries, self.places, strict=True):
            source = self.sources[place]
            kind, _, value = source.stamp.partition(" ")
            content = bytes.fromhex(value) if kind == "sha256" else place_digest(source, 0, source.size)
            role = 0 if entry.is_query is None else bool(entry.is_query) + 2 * bool(entry.is_gallery)
            rows.add(
                entry.name,
                offset=0,
                length=source.size,
                content=content,
                label=entry.label,
                split=entry.split,
                view=entry.view,
                role=role,
                box=entry.box,
            )
        return rows


def listed_files(config: DataConfig, cache: Path) -> ListedFiles:
    """List the images of a folder or a table.

    Raises:
        InputError: When it is missing, empty or not valid, or a file cannot be read.
    """
    if not is_remote(config.path):
        path = local_path(config.path)
        root = local_path(config.root) if config.root else None
        listing = read_folder(path, config.layout) if config.kind == "folder" else read_csv(path, root)
        return _on_disk(listing, cache)
    if config.kind == "folder":
        below, stamps = _walk(config.path)
        listing = listed(url_path(config.path), below, config.layout)
    else:
        listing, stamps = _table(config.path, config.root), {}
    urls = [url_of(entry.path) for entry in listing.entries]
    unknown = [url for url in dict.fromkeys(urls) if url not in stamps]
    stamps |= zip(
        unknown, in_parallel(_stamp_or_reason, unknown, progress="asking the store", unit="file"), strict=True
    )
    if missing := [stamp for stamp in stamps.values() if isinstance(stamp, str)]:
        raise InputError(f"{config.path}: {len(missing)} files cannot be read:", missing[:100])
    known = {url: stamp for url, stamp in stamps.items() if isinstance(stamp, Stamp)}
    return _of(listing, urls, {url: SourceFile(url, "", stamp.size, stamp.text) for url, stamp in known.items()})


def _on_disk(listing: Listing, cache: Path) -> ListedFiles:
    files = [str(entry.path.absolute()) for entry in listing.entries]
    paths = [Path(file) for file in files]
    digests = contents(paths, cache, progress=f"reading {listing.name}")
    if missing := [f"{file}: {text}" for file, text in zip(files, digests, strict=True) if text.startswith("unread")]:
        raise InputError(f"{listing.name}: {len(missing)} files cannot be read:", missing[:100])
    sources = {
        file: SourceFile(file, "", os.stat(file).st_size, f"sha256 {sha256}")  # noqa: PTH116 - quicker
        for file, sha256 in zip(files, digests, strict=True)
    }
    return _of(listing, files, sources)


def _of(listing: Listing, files: Sequence[str], sources: dict[str, SourceFile]) -> ListedFiles:
    number, names = dict[str, int](), dict[str, str]()
    for file, entry in zip(files, listing.entries, strict=True):
        number.setdefault(file, len(number))
        names.setdefault(file, entry.name)
    named = [replace(sources[file], name=names[file]) for file in number]
    return ListedFiles(listing, named, [number[file] for file in files])


def _table(url: str, root: str) -> Listing:
    path = url_path(url)
    with opened(url) as stream, io.TextIOWrapper(cast(Any, stream), "utf-8-sig", newline="") as text:
        return read_rows(text, path, url_path(root) if root else path.parent, on_disk=False)


def _stamp_or_reason(url: str) -> Stamp | str:
    try:
        return remote_stamp(url)
    except InputError as error:
        return str(error)


def _walk(url: str) -> tuple[FoundImages, dict[str, Stamp | str]]:
    """List the images below a folder of a store, by the rules of a walk through a disk, and their stamps."""
    fs, top = filesystem(url)
    images: list[tuple[str, ...]] = []
    passed_over, stamps = PassedOver(), dict[str, Stamp | str]()
    with store_errors(url):
        if not fs.isdir(top):
            raise InputError(f"expected an image folder at {url}, found {'a file' if fs.exists(top) else 'nothing'}")
        for folder, folders, files in fs.walk(top, detail=True):
            parts = tuple(part for part in str(folder).removeprefix(top).split("/") if part)
            for name in [name for name in folders if reserved(name)]:
                passed_over.add(reserved(name), "/".join((*parts, name)))
                del folders[name]
            for name, info in sorted(files.items()):
                place = (*parts, name)
                if not name:  # some stores list the folder itself
                    continue
                if reason := reserved(name):
                    passed_over.add(reason, "/".join(place))
                elif Path(name).suffix.lower() not in EXTENSIONS:
                    passed_over.add_extension(Path(name).suffix.lower(), "/".join(place))
                else:
                    images.append(place)
                    stamps[url_of(url_path(url).joinpath(*place))] = Stamp.of(info)
    return FoundImages(tuple(sorted(images)), passed_over, {}), stamps
