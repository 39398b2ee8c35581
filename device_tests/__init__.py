"""From a bundle to a verdict, measured on the targets that will run it."""
