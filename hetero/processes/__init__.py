"""Other programs: how they are started, and that none outlives the command."""
