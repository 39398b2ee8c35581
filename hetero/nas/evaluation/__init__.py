"""The evaluation of candidates, in this process and in others."""
