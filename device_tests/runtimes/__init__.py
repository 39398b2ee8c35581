"""Engines of our own, beside those that :mod:`device_tests.runner.engines` calls."""
