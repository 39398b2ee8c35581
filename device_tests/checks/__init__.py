"""The verification ladder, a rung a file: pure functions from what a target returned to a finding."""
