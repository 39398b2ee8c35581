"""One embedding space, every device.

The public API; everything is loaded when first used, so that ``import hetero`` needs no torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
