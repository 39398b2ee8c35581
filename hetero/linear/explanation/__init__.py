"""Which photos of an adaptation did harm."""
