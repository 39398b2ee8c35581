"""The results of every operator of an exported file."""
