"""Where embeddings live, with the space that they belong to."""
