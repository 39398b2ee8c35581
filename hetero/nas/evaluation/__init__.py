"""What a candidate is worth, in this process and in others."""
