"""``hetero data check``: the contents and problems of a data set, before training on it."""
