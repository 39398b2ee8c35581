"""Recipes for those who have none: made of a cloud model and photos."""
