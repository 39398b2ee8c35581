"""Writing an index of a data set, once, and finding it again while its files are the same."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hetero.data.config import DataConfig
from hetero.data.contents import contents
from hetero.data.decoding.cache import made_once
from hetero.data.decoding.parallel import in_parallel
from hetero.data.index import tables, tar
from hetero.data.index.file_images import FileImages
from hetero.data.index.image_index import (
    COPIES,
    RECORD,
    SCHEMA,
    ImageIndex,
    SourceFile,
    open_index,
    place_digest,
)
from hetero.data.index.listed import ListedFiles, listed_files
from hetero.data.index.names import shard_names, shard_splits
from hetero.data.index.places import files_of, is_remote, opened, remote_stamp
from hetero.data.index.writer import IndexWriter
from hetero.data.sources.walk import printable
from hetero.errors import InputError
from hetero.files import digest
from hetero.recognition.kinds import INDEX
from hetero.recognition.recognise import refuse_others
from hetero.storage.directories import is_replaceable, replaced_directory

_MOST_ASKED = 10_000
_SUFFIXES = {"webdataset": (".tar",), "parquet": tables.SUFFIXES}


def is_indexed(config: DataConfig) -> bool:
    """Return True if the images of a data set are read through an index."""
    return config.kind in ("webdataset", "parquet", "index") or (config.kind != "emoji" and is_remote(config.path))


def index_of(config: DataConfig, cache: Path) -> ImageIndex:
    """Open the index that is named, or that of the data in the cache, which is written unless it is there.

    Args:
        config: The data.
        cache: Folder that keeps indexes and digests of files.

    Raises:
        InputError: When a file is missing, damaged, or another than was indexed; lists every problem.
    """
    if config.kind == "index":
        return _named(Path(config.path).expanduser(), cache)
    make, key = _plan(config, cache)
    directory = made_once(cache / "index" / key[:24], _is_whole, make)
    return open_index(directory)


def write_index(config: DataConfig, directory: Path, cache: Path) -> ImageIndex:
    """Write the index of a data set, instead of an older one.

    Args:
        config: The data.
        directory: Folder of the index; it may lie beside the data and move with them.
        cache: Folder that keeps digests of files.

    Raises:
        InputError: When the folder holds something else, or as :func:`index_of` raises it.
    """
    if not is_replaceable(directory, RECORD):
        raise InputError(f"{directory} holds something else than an index; name another folder")
    make, _ = _plan(config, cache)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with replaced_directory(directory) as fresh:
        make(fresh)
    return open_index(directory)


def _is_whole(directory: Path) -> bool:
    if not directory.exists():
        return False
    try:
        open_index(directory)
    except InputError:
        return False
    return True


def _named(directory: Path, cache: Path) -> ImageIndex:
    refuse_others(directory, INDEX)
    if not (directory / RECORD).is_file():
        raise InputError(f"expected an index, as `hetero data index` writes it, at {directory}, found none")
    index = open_index(directory)
    if index.record.sources > _MOST_ASKED and index.asked_store:
        note = f"not verified: whether {index.record.sources} files in a store are those that were indexed"
        return replace(index, record=replace(index.record, notes=(*index.record.notes, note)))
    # An absolute path stays what it is when it is joined.
    paths = [path if is_remote(path) else str(directory / path) for path in index.paths]
    current = _stamped([SourceFile(path, "", 0, "") for path in paths], cache)
    changed = [
        file.path
        for file, stamp, size in zip(current, index.stamps, index.columns["sizes"].tolist(), strict=True)
        if (file.stamp, file.size) != (stamp, size)
    ]
    if changed:
        raise InputError(
            f"{directory}: {len(changed)} files are not those that were indexed; write the index again with "
            "hetero data index:",
            changed[:10],
        )
    return index


def _plan(config: DataConfig, cache: Path) -> tuple[Callable[[Path], None], str]:
    """Return what writes the index into an empty folder, and a digest of what it depends on."""
    if config.kind in ("folder", "csv"):
        files = listed_files(config, cache)
        return partial(_write_listed, files=files), digest(
            [SCHEMA, files.listing.fingerprint(), [[file.path, file.size, file.stamp] for file in files.sources]]
        )
    paths = files_of(config.path, _SUFFIXES[config.kind])
    names = shard_names(paths)
    sources = _stamped([SourceFile(path, name, 0, "") for path, name in zip(paths, names, strict=True)], cache)
    parts = [[file.path, file.name, file.size, file.stamp] for file in sources]
    return (
        partial(_write_shards, config=config, sources=sources),
        digest([SCHEMA, config.kind, config.image, config.label, parts]),
    )


def _stamped(files: Sequence[SourceFile], cache: Path) -> list[SourceFile]:
    """Return the files with their sizes and stamps: digests of local files, what a store says of others.

    Raises:
        InputError: When one is missing or cannot be read.
    """
    local = [file for file in files if not is_remote(file.path)]
    if missing := [file.path for file in local if not Path(file.path).is_file()]:
        raise InputError(f"{len(missing)} files are missing:", missing[:10])
    digests = dict(
        zip(
            (file.path for file in local),
            contents([Path(file.path) for file in local], cache, progress="reading shards"),
            strict=True,
        )
    )
    if unreadable := [f"{path}: {text}" for path, text in digests.items() if text.startswith("unreadable")]:
        raise InputError(f"{len(unreadable)} files cannot be read:", unreadable[:10])

    def stamped(file: SourceFile) -> SourceFile:
        if file.path in digests:
            return replace(file, size=Path(file.path).stat().st_size, stamp=f"sha256 {digests[file.path]}")
        stamp = remote_stamp(file.path)
        return replace(file, size=stamp.size, stamp=stamp.text)

    return list(in_parallel(stamped, files, unit="file"))


def _write_shards(directory: Path, *, config: DataConfig, sources: Sequence[SourceFile]) -> None:
    def rows_in(numbered: tuple[int, SourceFile]) -> FileImages:
        number, file = numbered
        if config.kind == "parquet":
            copy = directory / COPIES / f"{number:06}.bin"
            return tables.table_rows(file.path, file.name, copy, image=config.image, label=config.label)
        with opened(file.path) as stream:
            return tar.tar_rows(stream, file.name, label=config.label, with_contents=not is_remote(file.path))

    (directory / COPIES).mkdir()
    writer, problems = IndexWriter(directory), list[str]()
    splits = shard_splits([file.name for file in sources])
    # A shard may hold very many images, so that few are in flight.
    parts = in_parallel(rows_in, list(enumerate(sources)), progress="indexing", unit="file", ahead=1)
    for number, (file, rows) in enumerate(zip(sources, parts, strict=True)):
        problems += [f"{file.path}: {problem}" for problem in rows.problems]
        if splits[number]:
            rows.splits = [split or splits[number] for split in rows.splits]
        if is_remote(file.path) and config.kind == "webdataset":
            places = zip(rows.offsets, rows.lengths, strict=True)
            rows.contents = [place_digest(file, offset, length) for offset, length in places]
        copied = (directory / COPIES / f"{number:06}.bin").exists()
        writer.add_source(replace(file, path=_place_of(file.path, directory)), copied=copied)
        writer.add_rows(rows)
    if problems:
        raise InputError(f"{config.path} cannot be indexed:", problems[:100])
    if not writer.images:
        raise InputError(
            f"{config.path}: expected images in {len(sources)} files, found none; {writer.passed_over.described()}"
        )
    kind = "WebDataset" if config.kind == "webdataset" else "Parquet and Arrow"
    writer.close(_name(config), f"{kind}, {len(sources)} files", _trust(sources, config))


def _write_listed(directory: Path, *, files: ListedFiles) -> None:
    (directory / COPIES).mkdir()
    writer = IndexWriter(directory, with_boxes=any(entry.box for entry in files.listing.entries))
    for file in files.sources:
        writer.add_source(replace(file, path=_place_of(file.path, directory)))
    writer.add_rows(files.rows(), files.places)
    listing = files.listing
    writer.close(listing.name, listing.layout, (*listing.notes, *_trust(files.sources, None)))


def _trust(sources: Sequence[SourceFile], config: DataConfig | None) -> list[str]:
    """Say how a change of files in a store is noticed."""
    remote = [file for file in sources if is_remote(file.path)]
    if not remote:
        return []
    notes = ["files in a store are known by what it says of them (etag, or size and time), not by their bytes"]
    if config is not None and config.kind == "parquet":
        notes = ["files in a store are copied, and read again when it says that they changed"]
    silent = sum(not file.stamp for file in remote)
    return notes + ([f"not verified: of {silent} files the store says the size alone"] if silent else [])


def _place_of(path: str, directory: Path) -> str:
    """Return a file's path as the index states it: relative when both lie in one folder, so that they can move."""
    home = directory.absolute().parent
    if is_remote(path) or not Path(path).is_relative_to(home):
        return path
    return os.path.relpath(path, directory.absolute())


def _name(config: DataConfig) -> str:
    """Return the name of the folder that a path or the plain part of a pattern names."""
    plain, *pattern = re.split(r"[*?\[{]", config.path.rstrip("/"), maxsplit=1)
    folder = plain.rpartition("/")[0] if pattern else plain
    return printable(folder.rpartition("/")[2]) or config.kind
