"""Optimisers, learning rates and weight averaging."""
