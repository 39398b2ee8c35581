"""Engines of our own, beside those that :mod:`device_tests.runner` calls."""
