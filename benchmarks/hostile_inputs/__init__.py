"""Inputs that somebody hostile would make, handed to the product by the thousand."""
