"""``python -m hetero``."""

from hetero.cli import main

main()
