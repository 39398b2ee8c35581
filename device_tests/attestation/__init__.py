"""Verdicts as signed attestations."""
