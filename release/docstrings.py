"""Show docstrings as Markdown: a role such as ``:meth:`load``` is read by Sphinx only. Griffe calls it."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":[a-z]+:(?=`)")


class PlainRoles(Extension):
    """Keep what a role names, as code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub("", obj.docstring.value)
