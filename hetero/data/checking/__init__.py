"""``hetero data check``: what a data set is, before anyone trains on it."""
