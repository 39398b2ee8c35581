"""Metrics of retrieval, verification and flips, and their uncertainty. Imports no torch.

The public API; everything is loaded when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
