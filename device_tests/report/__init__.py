"""A verdict as one self-contained page, and as a picture."""

from device_tests.report.page import write_report

__all__ = ["write_report"]
