"""Other programs, started safely and never outliving the command."""
