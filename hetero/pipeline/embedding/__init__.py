"""Embedding any data with any model, in shards."""
