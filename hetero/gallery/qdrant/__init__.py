"""The store in Qdrant: a collection a space, and one that says which space is served."""
