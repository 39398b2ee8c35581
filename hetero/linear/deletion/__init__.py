"""Exact deletion of photos from an adaptation."""
