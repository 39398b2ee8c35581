"""Debian packages of other machines, fetched without root."""
