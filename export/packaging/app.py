"""``hetero bundle app``: what applications need of a bundle, without what proves it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.bundle.manifest import MANIFEST, ModelEntry
from export.bundle.reading import Bundle
from export.kinds.precision import Precision
from export.packaging.android import AI_PACK, ANDROID
from export.packaging.ios import IOS
from export.packaging.platform import Platform
from export.packaging.project import Project, project_of
from export.packaging.web import WEB
from export.precision.recommendation import recommendations
from hetero.errors import InputError
from hetero.files import sha256_file, write_json
from hetero.storage.directories import is_replaceable, replaced_directory

PLATFORMS = (ANDROID, AI_PACK, IOS, WEB)
RECORD = "hetero-app.json"
"""Says of which bundle what was made; a directory with it may be replaced."""


def write_app(
    bundle: Bundle, out: Path, *, platforms: Sequence[str] = (), precision: Precision | None = None
) -> tuple[Project, ...]:
    """Write one project for each platform, all or nothing; an earlier one at ``out`` is replaced.

    The same bundle gives the same bytes.

    Args:
        bundle: The bundle.
        out: The directory.
        platforms: Names of :data:`PLATFORMS`; by default the usual ones that the bundle has a recommended file for.
        precision: Take the files of this precision instead of the recommended ones.

    Returns:
        The projects.

    Raises:
        InputError: If the bundle has no file for a platform, ``out`` is something else, or a project is too large.
        IntegrityError: If the bundle is damaged.
    """
    _require_free(out, bundle)
    projects = tuple(
        project_of(bundle, model, platform, why) for platform, model, why in _chosen(bundle, platforms, precision)
    )
    with replaced_directory(out) as fresh:
        for project in projects:
            project.write(fresh / project.platform.name)
        write_json(
            fresh / RECORD,
            {
                "manifest": sha256_file(bundle.path / MANIFEST),
                "projects": {project.platform.name: _record(project) for project in projects},
            },
        )
    return projects


def _require_free(out: Path, bundle: Bundle) -> None:
    here, there = out.resolve(), bundle.path.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise InputError(f"{out} lies in the bundle, or holds it; choose another path")
    if not is_replaceable(out, RECORD):
        raise InputError(f"{out} exists and was not written by `hetero bundle app`; it will not be replaced")


def _chosen(
    bundle: Bundle, names: Sequence[str], precision: Precision | None
) -> list[tuple[Platform, ModelEntry, str]]:
    named = [platform for platform in PLATFORMS if (platform.name in names if names else platform.usual)]
    found = [(platform, _model(bundle, platform, precision)) for platform in named]
    missing = [platform.name for platform, choice in found if choice is None]
    if missing and (names or len(missing) == len(found)):
        wanted = f"in {precision}" if precision else "that is recommended; name a precision"
        raise InputError(f"the bundle has no file for {', '.join(missing)} {wanted}")
    return [(platform, *choice) for platform, choice in found if choice is not None]


def _model(bundle: Bundle, platform: Platform, precision: Precision | None) -> tuple[ModelEntry, str] | None:
    """Return the platform's model and the reason for it: of the first of its formats that has one."""
    recommended = {entry.format: entry for entry in recommendations(bundle.manifest)}
    for format in platform.formats:
        if precision is not None:
            model, why = bundle.model(format, precision), "Its precision was asked for"
        elif format in recommended:
            entry = recommended[format]
            model, why = bundle.model(format, entry.precision), f"Recommended at export: {entry.why}"
        else:
            continue
        if model is not None:
            return model, why
    return None


def _record(project: Project) -> dict[str, object]:
    contract = project.contract
    return {
        "model": contract.model,
        "precision": contract.precision,
        "sha256": contract.sha256,
        "model_bytes": project.model_size,
        "gallery_bytes": project.gallery_size,
        "rest_bytes": project.rest_size,
    }
