"""Maps between two embedding spaces, fitted after training on vectors of the same images: what a team tries first."""
