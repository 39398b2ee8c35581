"""One embedding space, every device."""
