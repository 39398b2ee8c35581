"""How long operators take on a target."""
