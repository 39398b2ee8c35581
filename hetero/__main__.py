"""``python -m hetero``."""

import sys

# Before any other import: Python looks first in the folder that it is started in, which may hold downloaded files.
# If this package itself was loaded from that folder, the rest of it is there, too.
if not sys.flags.safe_path and __file__ != f"{sys.path[0]}/hetero/__main__.py":
    del sys.path[0]

from hetero.cli.main import main

main()
