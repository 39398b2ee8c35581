"""Linear quadratic fine-tuning (arXiv 2012.11140): a model is fitted as a convex problem around its weights.

Everything is loaded when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
