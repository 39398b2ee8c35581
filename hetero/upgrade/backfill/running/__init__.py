"""Running a backfill: new vectors for a gallery that goes on answering, a gate, and the swap."""
