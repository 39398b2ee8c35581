"""Private copies of a bundle's files for targets, checked before and after.

A file that is checked by its path may be another by the time that a runtime opens it. An answer from a private copy
is an answer for the bytes that the manifest lists, and may be kept under their digest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path

from device_tests.targets.target import Request
from export.bundle.reading import Bundle
from hetero.errors import IntegrityError
from hetero.files import sha256_file
from hetero.storage.scratch import scratch_folder
from hetero.storage.unfinished import NO_ROOM


@contextlib.contextmanager
def handed(request: Request, bundle: Bundle) -> Generator[Request]:
    """Yield the request with copies of its model and originals, which are removed after the block.

    Args:
        request: A request to run one of the bundle's models.
        bundle: The bundle.

    Raises:
        IntegrityError: If a file differs from the manifest, or a copy has changed.
        OSError: If there is no room for the copies.
    """
    listed = {bundle.path / file.path: file.sha256 for file in bundle.manifest.files}
    inside = {path: sha256 for path, sha256 in listed.items() if path.is_relative_to(request.model)}
    with scratch_folder("handed") as folder:
        copies = {folder / path.relative_to(request.model.parent): (path, sha256) for path, sha256 in inside.items()}
        originals = [
            dataclasses.replace(one, file=folder / "originals" / str(number) / one.file.name)
            for number, one in enumerate(request.originals)
        ]
        for original, copy in zip(request.originals, originals, strict=True):
            # Golden files are not part of the bundle; their name is their digest.
            copies[copy.file] = original.file, listed.get(original.file, original.file.stem)
        gallery = request.gallery
        if gallery is not None:
            graph = folder / "gallery" / gallery.graph.name
            copies[graph] = gallery.graph, listed[gallery.graph]
            gallery = dataclasses.replace(gallery, graph=graph)
        for copy, (path, _) in copies.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, copy)
        _require(copies, "changed since the bundle was opened")
        yield dataclasses.replace(
            request, model=folder / request.model.name, originals=tuple(originals), gallery=gallery
        )
        _require(copies, "changed while a model of the bundle ran")


def _copy(path: Path, copy: Path) -> None:
    try:
        shutil.copyfile(path, copy)
    except (OSError, shutil.SpecialFileError) as error:
        if error.errno in NO_ROOM:
            raise OSError(error.errno, error.strerror, str(copy)) from None
        raise IntegrityError(f"{path} cannot be read any more: {error}") from None


def _require(copies: Mapping[Path, tuple[Path, str]], what: str) -> None:
    if changed := [path.name for copy, (path, sha256) in copies.items() if sha256_file(copy) != sha256]:
        raise IntegrityError(f"files {what}; verify it again:", changed)
