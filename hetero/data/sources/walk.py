"""The images below a folder: one rule for every place that lists images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hetero.data.decoding.image_file import FORMATS
from hetero.errors import InputError
from hetero.recognition.kinds import PHOTOS
from hetero.recognition.recognise import refuse_others

EXTENSIONS = frozenset(extension for extensions in FORMATS.values() for extension in extensions)

# Names that file systems, file managers and network drives add to a person's files; compared without case.
_SYSTEM = frozenset(
    (
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "__pycache__",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
    )
)
_HIDDEN, _OF_A_SYSTEM = "hidden", "of an operating system"
_ABOVE, _LISTED, _BROKEN = "link to a folder above it", "link to a folder that is listed itself", "broken link"
_EXTENSION = "not an image by its extension"
_SPECIAL = "neither file nor folder"
_MOST_EXTENSIONS = 8


def reserved(name: str) -> str:
    """Return the reason that a file or folder of this name holds no image of a data set; empty when it may."""
    if name.startswith("."):
        return _HIDDEN
    return _OF_A_SYSTEM if name.casefold() in _SYSTEM else ""


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a name as text; bytes that are not UTF-8 become ``\xe9``, so that every name can be written."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@dataclass
class PassedOver:
    """The files that a walk skipped: a number and the first name by reason, and files of other kinds by extension."""

    counts: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, str] = field(default_factory=dict[str, str])
    extensions: Counter[str] = field(default_factory=Counter[str])

    def add(self, reason: str, name: str) -> None:
        """Count one file."""
        self.counts[reason] += 1
        self.first.setdefault(reason, name)

    def add_extension(self, extension: str, name: str) -> None:
        """Count one file that is no image by its extension."""
        self.extensions[extension or "without"] += 1
        self.add(_EXTENSION, name)

    def join(self, other: PassedOver) -> None:
        """Count what another walk skipped, too."""
        self.counts += other.counts
        self.extensions += other.extensions
        self.first = {**other.first, **self.first}

    def described(self) -> str:
        """Write one line for people; empty when nothing was skipped."""
        return ", ".join(f"{reason} ({self._example(reason)})" for reason in sorted(self.counts))

    def _example(self, reason: str) -> str:
        if reason == _EXTENSION:
            common = self.extensions.most_common(_MOST_EXTENSIONS)
            parts = [f"{count} {extension}" for extension, count in common]
            return ", ".join([*parts, *(["..."] if len(self.extensions) > len(common) else [])])
        count = self.counts[reason]
        return f"{count}: {self.first[reason]}" + (", ..." if count > 1 else "")


@dataclass(frozen=True)
class FoundImages:
    """The images below a folder.

    Attributes:
        images: Parts of each image's path below the folder, in the order of their names.
        passed_over: The skipped files.
        links: Links that lead out of the folder: name below it -> target.
    """

    images: tuple[tuple[str, ...], ...]
    passed_over: PassedOver
    links: dict[str, str]

    def notes(self) -> tuple[str, ...]:
        """Return notes for the user."""
        described = self.passed_over.described()
        notes = [f"passed over: {described}"] if described else []
        if self.links:
            link, target = next(iter(self.links.items()))
            more = ", ..." if len(self.links) > 1 else ""
            notes.append(f"{len(self.links)} linked folders lie outside of the folder ({link} -> {target}{more})")
        unnamed = [parts for parts in self.images if printable("/".join(parts)) != "/".join(parts)]
        if unnamed:
            shown = printable("/".join(unnamed[0])) + (", ..." if len(unnamed) > 1 else "")
            notes.append(f"names that are not UTF-8 are written with escapes: {len(unnamed)} images ({shown})")
        return tuple(notes)


def images_below(folder: Path) -> FoundImages:
    """Find all images below a folder.

    Hidden names and those of operating systems are skipped, with everything below them. Links are followed, also out of
    the folder; a link to a folder above it would never end, and a link to a folder that is listed itself would list its
    images twice, so both are skipped.

    Args:
        folder: The folder; its own name does not matter.

    Raises:
        InputError: When there is no such folder, or one below it cannot be opened.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of images at {folder}, found {'a file' if folder.exists() else 'nothing'}")
    return _Walk(folder).images()


def image_files(folder: Path) -> tuple[list[Path], FoundImages]:
    """List all images below a folder (see :func:`images_below`), at least one.

    Raises:
        InputError: When there is no such folder, or it holds no image.
    """
    refuse_others(folder, PHOTOS)
    below = images_below(folder)
    if not below.images:
        skipped = below.passed_over.described()
        other = f"; passed over: {skipped}" if skipped else ""
        raise InputError(f"{folder}: expected images ({' '.join(sorted(EXTENSIONS))}), found none{other}")
    return [folder.joinpath(*parts) for parts in below.images], below


class _Walk:
    """One walk through a folder, depth first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._real = Path(os.path.realpath(folder))
        self._images: list[tuple[str, ...]] = []
        self._passed_over = PassedOver()
        self._links: dict[str, str] = {}

    def images(self) -> FoundImages:
        self._enter((), [_identity(self._folder.stat())])
        return FoundImages(tuple(sorted(self._images)), self._passed_over, self._links)

    def _enter(self, parts: tuple[str, ...], above: Sequence[tuple[int, int]]) -> None:
        try:
            with os.scandir(self._folder.joinpath(*parts)) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    self._look(entry, (*parts, entry.name), above)
        except OSError as error:
            place = printable(self._folder.joinpath(*parts))
            raise InputError(f"{place}: the folder cannot be read: {error.strerror}") from None

    def _look(self, entry: os.DirEntry[str], parts: tuple[str, ...], above: Sequence[tuple[int, int]]) -> None:
        name = printable("/".join(parts))
        if reason := reserved(entry.name):
            self._passed_over.add(reason, name)
        elif entry.is_symlink():
            self._follow(entry, parts, above)
        elif entry.is_dir():
            self._enter(parts, [*above, _identity(entry.stat())])
        else:
            self._file(entry.is_file(), parts, name)

    def _follow(self, entry: os.DirEntry[str], parts: tuple[str, ...], above: Sequence[tuple[int, int]]) -> None:
        name = printable("/".join(parts))
        try:
            status = entry.stat()
        except OSError:
            self._passed_over.add(_BROKEN, name)
            return
        if not entry.is_dir():
            self._file(entry.is_file(), parts, name)
            return
        target = Path(os.path.realpath(entry.path))
        if _identity(status) in above:
            self._passed_over.add(_ABOVE, name)
        elif self._lists(target):
            self._passed_over.add(_LISTED, name)
        else:
            if not target.is_relative_to(self._real):
                self._links[name] = printable(target)
            self._enter(parts, [*above, _identity(status)])

    def _lists(self, target: Path) -> bool:
        """Return True if the walk reaches a folder without any link."""
        inside = target.is_relative_to(self._real)
        return inside and not any(reserved(part) for part in target.relative_to(self._real).parts)

    def _file(self, regular: bool, parts: tuple[str, ...], name: str) -> None:
        extension = Path(parts[-1]).suffix.lower()
        if extension in EXTENSIONS and regular:
            self._images.append(parts)
        elif regular:
            self._passed_over.add_extension(printable(extension), name)
        else:
            self._passed_over.add(_SPECIAL, name)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
