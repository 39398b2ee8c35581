"""From a trained model to a bundle that a phone can run.

The public API; everything is loaded when first used.
"""

import lazy_loader

from export.formats import register_built_in as _register_built_in

# Whichever module of this package is imported: reading a manifest needs the known formats.
_register_built_in()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
