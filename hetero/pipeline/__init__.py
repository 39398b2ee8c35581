"""A run as a list of stages, each identified by the digest of its inputs."""
