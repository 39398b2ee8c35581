"""Bundles: manifest, goldens, signatures, and reading all of it safely. Imports no torch."""
