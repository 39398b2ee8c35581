"""Re-embedding a gallery step by step after a model upgrade: the order, and the gain of each step."""
