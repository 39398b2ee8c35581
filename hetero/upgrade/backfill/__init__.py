"""Re-embedding a gallery bit by bit after a model upgrade: in which order, and what each step brings."""
