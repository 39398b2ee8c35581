"""Formats: what each converter offers."""
