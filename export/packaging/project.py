"""One platform's project: its files, and their sizes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from export.app.contract import CONTRACT, AppContract, contract_of
from export.app.self_test import self_tests
from export.app_code.code import reference_code
from export.bundle.manifest import GRAPH, IDS, FileEntry, ModelEntry
from export.bundle.reading import Bundle
from export.packaging.platform import Platform
from export.packaging.readme import readme
from hetero.errors import InputError, IntegrityError
from hetero.files import json_text, sha256_bytes, sha256_file, write_bytes

LARGEST_REST = 150_000
"""Bytes that a project may take beside its model."""


@dataclass(frozen=True)
class CarriedFile:
    """A file of the gallery that a bundle carries.

    Attributes:
        source: The file.
        entry: What the manifest says of it.
    """

    source: Path
    entry: FileEntry


@dataclass(frozen=True)
class Project:
    """A project that is not written yet.

    Attributes:
        platform: Its platform.
        contract: The contract of its model.
        model: The model's files by path.
        rest: All others by path.
        gallery: The files of the gallery that the bundle carries, by path; copied, since they may be large.
    """

    platform: Platform
    contract: AppContract
    model: Mapping[str, bytes]
    rest: Mapping[str, bytes]
    gallery: Mapping[str, CarriedFile]

    @property
    def model_size(self) -> int:
        """Bytes of the model."""
        return sum(map(len, self.model.values()))

    @property
    def gallery_size(self) -> int:
        """Bytes of the gallery."""
        return sum(file.entry.size for file in self.gallery.values())

    @property
    def rest_size(self) -> int:
        """Bytes of everything else."""
        return sum(map(len, self.rest.values()))

    def write(self, directory: Path) -> None:
        """Write the files below a directory.

        Raises:
            IntegrityError: If the gallery changed since the bundle was read.
        """
        for path, content in {**self.model, **self.rest}.items():
            write_bytes(directory / path, content)
        for path, file in self.gallery.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.source, directory / path)
            if sha256_file(directory / path) != file.entry.sha256:
                raise _changed(file.entry)


def project_of(bundle: Bundle, model: ModelEntry, platform: Platform, why: str) -> Project:
    """Put a project together.

    Args:
        bundle: The bundle.
        model: The model that the application ships.
        platform: The platform.
        why: The reason for this model.

    Raises:
        IntegrityError: If a file of the bundle changed since it was read.
        InputError: If everything beside the model takes more than :data:`LARGEST_REST`.
    """
    contract = contract_of(bundle, model)
    resources: dict[str, bytes] = {CONTRACT: json_text(contract.to_dict()).encode()}
    for entry, test in zip(contract.self_test, self_tests(bundle), strict=True):
        resources |= {entry.image: test.png, entry.vector: test.vector}
    code = reference_code(contract, platform.language)
    rest = {
        **{_place(path, platform.code): text.encode() for path, text in code.items()},
        "README.md": readme(contract, platform, why, bundle.manifest.gallery).encode(),
        **{path: text.encode() for path, text in platform.files(contract, code).items()},
        **{f"{platform.resources}/{path}": content for path, content in resources.items()},
    }
    gallery = {
        f"{platform.resources}/{file.path}": CarriedFile(bundle.path / file.path, file)
        for file in bundle.manifest.files
        if file.path in (GRAPH, IDS)
    }
    project = Project(platform, contract, _model_files(bundle, model, platform.model, contract.model), rest, gallery)
    if project.rest_size > LARGEST_REST:
        raise InputError(
            f"{platform.name}: everything beside the model takes {project.rest_size:,} bytes, "
            f"more than {LARGEST_REST:,}; the largest:",
            [f"{path}: {len(rest[path]):,} bytes" for path in sorted(rest, key=lambda path: -len(rest[path]))[:5]],
        )
    return project


def _place(path: str, folder: str) -> str:
    """Return the place of a file of code: what a build must not see lies outside the folder of the sources."""
    apart = {"README.md": "CODE.md", "package.json": "package.json"}
    return apart.get(path) or (path if path.startswith("optional/") else f"{folder}/{path}")


def _model_files(bundle: Bundle, model: ModelEntry, folder: str, name: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for file in bundle.manifest.files_of(model):
        content = (bundle.path / file.path).read_bytes()
        if sha256_bytes(content) != file.sha256:
            raise _changed(file)
        inside = PurePosixPath(file.path).relative_to(model.file)
        files[str(PurePosixPath(folder, name, inside))] = content
    return files


def _changed(file: FileEntry) -> IntegrityError:
    return IntegrityError(f"{file.path} changed while it was copied")
