"""Photos taken out of an adaptation, exactly."""
