"""What is written to disk: whole or not at all, and swept when its writer was killed."""
