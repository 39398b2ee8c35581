"""Reading a bundle. It may come from anywhere, so every file is checked before it is used. Imports no torch."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import cast

from export.bundle.checks import checked_manifest
from export.bundle.goldens import Goldens
from export.bundle.manifest import (
    GOLDENS,
    MANIFEST,
    PREPROCESS,
    SIGNATURE,
    SPACE,
    FileEntry,
    Manifest,
    ModelEntry,
    part_of,
)
from export.bundle.originals import original_rows
from export.bundle.signing import read_signature
from export.bundle.tensors import read_header
from export.kinds.precision import Precision
from export.kinds.registry import format_called
from hetero.errors import InputError, IntegrityError
from hetero.files import sha256_file
from hetero.foreign import strict_json
from hetero.preprocessing import CUT_FROM_OF_CLOUDS, Preprocessing
from hetero.recognition.kinds import BUNDLE
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse
from hetero.space import EmbeddingSpace
from hetero.storage.directories import is_replaceable, steadily

_JSON_LIMIT = 4 << 20
_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are all present and match the manifest.

    Attributes:
        path: Its directory.
        manifest: Its manifest.
        space: The embedding space of the model's vectors.
        preprocessing: An application's part of the preprocessing; the rest is in the graph.
        left_out: Files with images that the manifest lists and whoever handed the bundle on left out.
    """

    path: Path
    manifest: Manifest
    space: EmbeddingSpace
    preprocessing: Preprocessing
    left_out: tuple[str, ...] = field(default=(), kw_only=True)

    @cached_property
    def goldens(self) -> Goldens:
        """The golden images and the retrieval set, loaded on first use.

        Raises:
            InputError: If they were left out.
            IntegrityError: If they do not fit the bundle.
        """
        if GOLDENS in self.left_out:
            raise InputError(f"{self.path} was handed on without its golden images; take the whole bundle for this")
        return Goldens.load(
            self.path / GOLDENS,
            tasks=self.manifest.tasks,
            preprocessing=self.preprocessing,
            dimension=self.space.dimension,
            texts=self.manifest.texts.count if self.manifest.texts else 0,
        )

    @cached_property
    def originals(self) -> dict[int, Path]:
        """JPEG and PNG files by their row of ``retrieval_images``; empty if none ship.

        Raises:
            IntegrityError: If they do not fit the bundle.
        """
        files = {file.path: self.path / file.path for file in self.manifest.files}
        return original_rows(files, len(self.goldens.retrieval_images))

    def model(self, format: str, precision: Precision = "fp32") -> ModelEntry | None:
        """Return the exported model of a format and precision; None if the bundle lacks it."""
        kinds = {(model.format, model.precision): model for model in self.manifest.models}
        return kinds.get((format, precision))

    def file(self, model: ModelEntry) -> Path:
        """Return the path of an exported model."""
        return self.path / model.file


def require_replaceable(out: Path) -> None:
    """Refuse a path for a bundle where something other than a bundle is.

    Raises:
        InputError: If there is.
    """
    if not is_replaceable(out, MANIFEST):
        raise InputError(f"{out} exists and is not a bundle; it will not be replaced: choose another path or remove it")


def require_place_for_copy(bundle: Path, out: Path) -> None:
    """Refuse a path for a copy of a bundle within the bundle, or where something other than a bundle is.

    Raises:
        InputError: If it is such a path.
    """
    if out.resolve().is_relative_to(bundle.resolve()):
        raise InputError(f"{out} lies in the bundle, which never changes; choose another path")
    require_replaceable(out)


def read_bundle(path: Path, *, whole: bool = True) -> Bundle:
    """Read a bundle and verify its schema, the digest and size of every file, and that it has no other files.

    A signature must be readable, but the signer is checked by :func:`export.bundle.signing.check_signature`.

    Args:
        path: The bundle's directory.
        whole: True to refuse a bundle that was handed on without some of its images.

    Raises:
        InputError: If there is no bundle.
        IntegrityError: If the bundle does not match its manifest; the message lists every problem of a kind.
    """
    return steadily(path, partial(_read, whole=whole))


def _read(path: Path, *, whole: bool) -> Bundle:
    refuse_others(path, BUNDLE)
    if not path.is_dir():
        raise InputError(f"expected a bundle, a directory with a {MANIFEST}, at {path}; make one with `hetero export`")
    if not (path / MANIFEST).exists():
        raise InputError(f"{path} is not a bundle: it has no {MANIFEST}; make one with `hetero export`")
    try:
        return _parts(path, whole=whole)
    except (OSError, RecursionError) as error:
        raise IntegrityError(f"{path} cannot be read as a bundle: {error}") from None


def _parts(path: Path, *, whole: bool) -> Bundle:
    manifest = checked_manifest(_json(path / MANIFEST), what=f"{path.name}/{MANIFEST}")
    paths = [file.path for file in manifest.files]
    left_out = () if whole else tuple(name for name in paths if part_of(name) and not os.path.lexists(path / name))
    files = tuple(file for file in manifest.files if file.path not in left_out)
    if problems := [*_tree_problems(path, files)]:
        raise IntegrityError(f"{path} is not what its manifest says:", problems)
    if problems := [problem for file in files if (problem := _digest_problem(path, file))]:
        raise IntegrityError(f"{path} is not what its manifest says; copy or export it again:", problems)
    space = EmbeddingSpace.from_dict(_json(path / SPACE), what=f"{path.name}/{SPACE}")
    what = f"{path.name}/{PREPROCESS}"
    preprocessing = parse(Preprocessing, _json(path / PREPROCESS), what=what, error=IntegrityError)
    if problems := [*_preprocessing_problems(preprocessing), *_contract_problems(manifest, space, preprocessing)]:
        raise IntegrityError(f"{path}: its parts do not fit together:", problems)
    if GOLDENS not in left_out:
        read_header(path / GOLDENS)
    if (path / SIGNATURE).exists():
        read_signature(path / SIGNATURE)
    return Bundle(path, manifest, space, preprocessing, left_out=left_out)


def _json(path: Path) -> object:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise IntegrityError(f"{path.name} is not a regular file")
    if status.st_size > _JSON_LIMIT:
        raise IntegrityError(f"{path.name} takes {status.st_size} bytes, more than the limit of {_JSON_LIMIT}")
    return cast("object", strict_json(path.read_bytes(), what=path.name))


def _tree_problems(path: Path, files: tuple[FileEntry, ...]) -> list[str]:
    """Compare the directory with the listed files, following no link."""
    listed = {file.path: file.size for file in files} | {MANIFEST: None, SIGNATURE: None}
    parents = {parent.as_posix() for name in listed for parent in PurePosixPath(name).parents}
    problems: list[str] = []
    present: set[str] = set()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(path / prefix) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name in parents:
                        waiting.append(f"{name}/")
                    else:
                        problems.append(f"{name!r}: a directory that the manifest does not list")
                    continue
                present.add(name)
                problems += _entry_problems(entry, name, listed)
    for name in sorted(set(listed) - present - {SIGNATURE}):
        problems.append(f"{name}: listed, but missing{' (handed on without it?)' if part_of(name) else ''}")
    return problems


def _entry_problems(entry: os.DirEntry[str], name: str, listed: dict[str, int | None]) -> list[str]:
    if entry.is_symlink():
        return [f"{name!r}: a symbolic link; a bundle holds files only"]
    if name not in listed:
        return [f"{name!r}: not listed in the manifest"]
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return [f"{name!r}: not a regular file"]
    if listed[name] is not None and listed[name] != status.st_size:
        return [f"{name}: expected {listed[name]} bytes, got {status.st_size}"]
    return []


def _digest_problem(path: Path, file: FileEntry) -> str | None:
    actual = sha256_file(path / file.path)
    return None if actual == file.sha256 else f"{file.path}: expected sha256 {file.sha256}, got {actual}"


def _preprocessing_problems(preprocessing: Preprocessing) -> list[str]:
    """Return problems of a bundle's contract beyond those of any contract."""
    problems: list[str] = []
    if max(preprocessing.height, preprocessing.width) > _LARGEST_SIDE:
        problems.append(f"{PREPROCESS}: height and width must lie between 1 and {_LARGEST_SIDE}")
    if preprocessing.cut_from is not None:
        problems.append(f"{PREPROCESS}: {CUT_FROM_OF_CLOUDS}")
    return problems


def _contract_problems(manifest: Manifest, space: EmbeddingSpace, preprocessing: Preprocessing) -> list[str]:
    problems: list[str] = []
    if manifest.space_id != space.space_id:
        problems.append(f"the manifest names the space {manifest.space_id}, {SPACE} {space.space_id[:100]!r}")
    if manifest.texts and space.text is None:
        problems.append(f"there are golden texts, and {SPACE} does not name their text tower")
    sides = (preprocessing.height, preprocessing.width)
    for model in manifest.models:
        batch = 0 if model.input.shape[:1] == (0,) and format_called(model.format).any_batch else 1
        expected_shape = sides if model.input.type == "image-rgb" else (batch, *sides, 3)
        if model.input.shape != expected_shape:
            problems.append(f"{model.file}: takes {list(model.input.shape)}, expected {list(expected_shape)}")
        if model.output.shape != (batch, space.dimension):
            problems.append(f"{model.file}: gives {list(model.output.shape)}, expected {[batch, space.dimension]}")
    return problems
