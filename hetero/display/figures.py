"""How every figure is drawn: equal data give equal bytes, wherever that is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


def own_settings(**more: Any) -> AbstractContextManager[None]:
    """Draw with matplotlib's defaults and ours, whatever a ``matplotlibrc`` says.

    Matplotlib obeys one in the current folder, which may have come with a download, and which can ask for LaTeX.

    Args:
        more: Settings by their name, with ``_`` for the dot.
    """
    import matplotlib as mpl

    settings: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    settings.update({"svg.hashsalt": "hetero", "svg.fonttype": "none", "font.family": "sans-serif"})
    settings.update({name.replace("_", "."): value for name, value in more.items()})
    return mpl.rc_context(settings)
