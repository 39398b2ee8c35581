"""A smaller space: fewer dimensions and bits for the vectors of a gallery, without embedding anything again."""
