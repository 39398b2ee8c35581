"""The verification ladder, one rung per file: pure functions from a target's answer to a finding."""
