"""Architecture search: the student that is best as a query model against the cloud's gallery, under a budget.

The public API; everything is loaded when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
