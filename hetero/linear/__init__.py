"""Linear quadratic fine-tuning (arXiv 2012.11140): a model is fitted as a convex problem around its weights.

Everything is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hetero.linear.adaptation import adapt
    from hetero.linear.config import AdaptConfig
    from hetero.linear.dual import Dual
    from hetero.linear.explanation import Explanation, explain
    from hetero.linear.forgetting import Forgetting, forget
    from hetero.linear.gallery import OldGallery
    from hetero.linear.influence import influences, margin_gradient
    from hetero.linear.linearised import Linearised
    from hetero.linear.measure import Adaptation
    from hetero.linear.parts import divided
    from hetero.linear.precondition import kronecker
    from hetero.linear.problem import Problem

_HOME_OF = {
    "AdaptConfig": "config",
    "Adaptation": "measure",
    "Dual": "dual",
    "Explanation": "explanation",
    "Forgetting": "forgetting",
    "Linearised": "linearised",
    "OldGallery": "gallery",
    "Problem": "problem",
    "adapt": "adaptation",
    "divided": "parts",
    "explain": "explanation",
    "forget": "forgetting",
    "influences": "influence",
    "kronecker": "precondition",
    "margin_gradient": "influence",
}

__all__ = [
    "AdaptConfig",
    "Adaptation",
    "Dual",
    "Explanation",
    "Forgetting",
    "Linearised",
    "OldGallery",
    "Problem",
    "adapt",
    "divided",
    "explain",
    "forget",
    "influences",
    "kronecker",
    "margin_gradient",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hetero.linear' has no attribute {name!r}")
    return getattr(import_module(f"hetero.linear.{_HOME_OF[name]}"), name)
