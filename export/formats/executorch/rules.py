"""Operators that ExecuTorch cannot support."""

from __future__ import annotations

import re

from export.formats.executorch import EXECUTORCH
from export.rewrites.operator_support import Rules

RULES = Rules(
    format=EXECUTORCH.name,
    unknown=re.compile(r"(Operator torch\._ops\.|Missing out variants: \{'|no kernel for )(?P<operator>[\w.:]+)"),
)
