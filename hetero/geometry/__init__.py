"""What a space's vectors are like, and what follows from it for whoever is to live there."""
