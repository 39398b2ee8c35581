"""A project's README: what it holds, and how an application can tell that it works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.app.contract import AppContract
from export.kinds.registry import format_called
from export.packaging.platform import Platform
from hetero.display.text import in_markdown


def readme(contract: AppContract, platform: Platform, why: str) -> str:
    """Return Markdown.

    Args:
        contract: The model's contract.
        platform: The platform.
        why: The reason for this model.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_text)
    template = environment.from_string((Path(__file__).parent / "readme.md.j2").read_text(encoding="utf-8"))
    title = format_called(contract.format).title
    return template.render(contract=contract, title=title, platform=platform, why=why)


def _text(value: Any) -> Any:
    return in_markdown(value) if isinstance(value, str) else value
