"""The supernet: one training for every architecture of a space."""
