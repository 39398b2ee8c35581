"""Writing to disk, all or nothing; the remains of killed writers are removed."""
