"""Statistics of a space's vectors, and advice for students of the space."""
