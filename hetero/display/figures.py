"""Common settings of all figures: equal data give equal bytes on any machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


def own_settings(**more: Any) -> AbstractContextManager[None]:
    """Draw with matplotlib's defaults and the project's settings, whatever a ``matplotlibrc`` contains.

    Matplotlib reads one from the current folder, which may have come with a download, and which can enable LaTeX.

    Args:
        more: Further settings by name, with ``_`` for the dot.
    """
    import matplotlib as mpl

    settings: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    settings.update({"svg.hashsalt": "hetero", "svg.fonttype": "none", "font.family": "sans-serif"})
    settings.update({name.replace("_", "."): value for name, value in more.items()})
    return mpl.rc_context(settings)
