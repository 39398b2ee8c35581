"""Input to targets and their answers: checked, kept, and sealed."""
