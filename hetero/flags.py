"""Flags that several commands take."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

AllowCode = Annotated[
    bool,
    Parameter(negative="", help="Run the code that a recipe, search space or model names; such a file is a program."),
]
