"""What targets are handed and what they return: checked, kept, and sealed."""
