"""A run as a list of stages, each named by the digest of what it depends on."""
