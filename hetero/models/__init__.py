"""Cloud backbones, edge students, and their files."""
