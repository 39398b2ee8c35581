"""The project's own engines, in addition to those of :mod:`device_tests.runner.engines`."""
