"""A reference executor for Core ML: it loads an ``.mlpackage`` on any system and computes it in numpy.

It imports neither torch nor coremltools, and everything is loaded when first used. ``docs/coreml-executor.md``
describes what it certifies.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
