"""Decisions at a threshold: 1:1 verification and 1:N open-set identification."""
