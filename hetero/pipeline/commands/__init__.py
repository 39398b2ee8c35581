"""The commands that run a recipe, or part of one, or write its report."""
