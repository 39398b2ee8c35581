"""Maps between two embedding spaces, fitted after training on vectors of the same images: a simple baseline."""
