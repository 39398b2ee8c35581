"""Templates of Markdown, which escape their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetero.display.text import in_markdown

if TYPE_CHECKING:
    from jinja2 import Environment


def markdown_templates(templates: Mapping[str, str] | None = None) -> Environment:
    """Return an environment for templates of Markdown; a value that is text becomes one harmless line.

    Args:
        templates: Templates that others may include, by name.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    return Environment(
        loader=DictLoader(templates or {}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=_text,
    )


def _text(value: Any) -> Any:
    return in_markdown(value) if isinstance(value, str) else value
