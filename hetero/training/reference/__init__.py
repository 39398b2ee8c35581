"""The models that a student learns from: the cloud, live or cached, and its predecessor."""
