"""Obstacles to a run, found before it starts."""
