"""A gallery as a service over HTTP."""
