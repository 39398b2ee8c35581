"""Galleries of embeddings, with the space that they belong to."""
