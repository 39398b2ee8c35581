"""Search spaces that come with the package."""
