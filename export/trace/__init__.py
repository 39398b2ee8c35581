"""What every operator of an exported file computes."""
