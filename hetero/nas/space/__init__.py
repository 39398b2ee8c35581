"""Search spaces and the architectures in them."""
