"""Sets in tar shards, and what they cost."""
