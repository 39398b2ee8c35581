"""Latency of operators on a target."""
