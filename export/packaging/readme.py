"""A project's README: what it holds, and how an application can tell that it works."""

from __future__ import annotations

from pathlib import Path

from export.app.contract import AppContract
from export.bundle.manifest import GalleryEntry
from export.kinds.registry import format_called
from export.packaging.platform import Platform
from hetero.display.markdown import markdown_templates


def readme(contract: AppContract, platform: Platform, why: str, gallery: GalleryEntry | None = None) -> str:
    """Return Markdown.

    Args:
        contract: The model's contract.
        platform: The platform.
        why: The reason for this model.
        gallery: The gallery that goes along; None for none.
    """
    template = (Path(__file__).parent / "readme.md.j2").read_text(encoding="utf-8")
    title = format_called(contract.format).title
    return (
        markdown_templates()
        .from_string(template)
        .render(contract=contract, title=title, platform=platform, why=why, gallery=gallery)
    )
