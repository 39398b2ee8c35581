"""Explanation of an adaptation's errors by its photos."""
