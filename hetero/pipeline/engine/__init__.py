"""Stages that run side by side, resume, and show their progress."""
