"""The contents of a training batch."""
