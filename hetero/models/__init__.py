"""Cloud backbones, edge students, and how they are kept on disk."""
