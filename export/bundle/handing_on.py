"""Handing a bundle on without its images. Imports no torch.

The manifest stays as it is, and with it the signature: every file that is there can still be held against its digest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from export.bundle.manifest import MANIFEST, SIGNATURE, Part, part_of
from export.bundle.reading import read_bundle, require_place_for_copy
from hetero.errors import InputError
from hetero.storage.directories import replaced_directory


def hand_on(bundle: Path, out: Path, without: Sequence[Part]) -> tuple[str, ...]:
    """Copy a bundle without some of its images.

    Args:
        bundle: The bundle.
        out: The copy; an earlier bundle there is replaced.
        without: The parts to leave out.

    Returns:
        The files that the copy lacks.

    Raises:
        InputError: If no part is named, or ``out`` is something else.
        IntegrityError: If the bundle is damaged.
    """
    if not without:
        raise InputError(f"name what to leave out: {', '.join(get_args(Part))}")
    require_place_for_copy(bundle, out)
    files = [file.path for file in read_bundle(bundle, whole=False).manifest.files]
    kept = [path for path in files if part_of(path) not in without]
    with replaced_directory(out) as fresh:
        copy_files(bundle, fresh, [*kept, MANIFEST, SIGNATURE])
        return read_bundle(fresh, whole=False).left_out


def copy_files(bundle: Path, out: Path, names: Iterable[str]) -> None:
    """Copy those of a bundle's files that are there.

    Args:
        bundle: The bundle.
        out: The copy's directory.
        names: The files' paths in the bundle.
    """
    for name in names:
        if (bundle / name).is_file():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / name, out / name)
