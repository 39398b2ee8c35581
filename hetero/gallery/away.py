"""Errors of gallery stores whose server does not answer, told without loading what raises them."""

from __future__ import annotations


def is_of_a_server(error: BaseException) -> bool:
    """Return True if a gallery store's server went away, or did not answer in time."""
    names = {(cls.__module__.partition(".")[0], cls.__name__) for cls in type(error).__mro__}
    return bool(names & {("psycopg", "OperationalError"), ("qdrant_client", "ResponseHandlingException")})
