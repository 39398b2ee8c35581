"""Application versions in the field against gallery versions."""
