"""Methods of compatible training side by side, under one budget and over several seeds."""
