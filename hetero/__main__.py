"""``python -m hetero``."""

import sys

# Before anything else is imported: Python looks first in the folder that it is started in, which may be a download's.
# Where that is the folder that this package came from, the rest of it is there, too.
if not sys.flags.safe_path and __file__ != f"{sys.path[0]}/hetero/__main__.py":
    del sys.path[0]

from hetero.cli.main import main

main()
