"""Stages: run side by side, resumed, and shown."""
